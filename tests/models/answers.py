"""Writes the answers that tests expect, as the server would put them into JSON."""
import json
import math


def write(path, answers):
    """One model a line."""
    lines = [f"{json.dumps(name)}: {json.dumps(plain(answer))}" for name, answer in answers.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def plain(value):
    """The same in JSON's own types; NaN is null, an infinity a string."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
