"""Keeps a model's rows and its training code's answers beside its file."""
import json
import math
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def save(name, rows, outputs):
    """Writes <name>.json: rows as a client sends them, and for each output a value a row."""
    lines = [json.dumps(plain(row), ensure_ascii=False) for row in rows]
    values = json.dumps(plain(outputs), ensure_ascii=False)
    (HERE / f"{name}.json").write_text('{"rows": [\n%s\n],\n"outputs": %s}\n' % (",\n".join(lines), values))


def rows_of(columns):
    """For each input an array, one value a row."""
    return [dict(zip(columns, values)) for values in zip(*map(list, columns.values()))]


def zipmap(classes, probabilities):
    """The objects keyed by class label that a ZipMap gives."""
    return [dict(zip(plain(classes), row)) for row in probabilities]


def plain(value):
    """The same in JSON's own types, NaN as null; a number has the shortest digits of its type."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray) and value.ndim > 0:
        return [plain(item) for item in value]
    if isinstance(value, np.floating):
        value = float(str(value))
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value
