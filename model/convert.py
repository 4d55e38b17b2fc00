"""Turns a model that joblib or pickle saved into an ONNX file, and compares the answers of both.

    pip install scikit-learn skl2onnx onnxruntime pandas    # onnxmltools too for LightGBM and XGBoost
    python convert.py model.joblib                          # writes model.onnx into this folder
    python convert.py model.joblib other.onnx --data rows.csv

Run it where the model was trained, with the packages of that day. Reading such a file runs the code that is in it, as
joblib.load and pickle.load always do: convert no file that you would not load.
Exit code: 0 where both agree, 1 where the model cannot be converted, 3 where the file is written but they do not agree.
"""
import argparse
import copy
import re
import sys
import warnings
import zlib
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

try:
    import joblib
    import numpy as np
    import onnx
    import onnxruntime
    import pandas as pd
    from skl2onnx import sklapi, to_onnx, update_registered_converter
    from skl2onnx.common import _registration, data_types, shape_calculator
    from skl2onnx.operator_converters import common, imputer_op
    from sklearn import __version__, pipeline, preprocessing
except ImportError as error:
    sys.exit(f"{error}: pip install scikit-learn skl2onnx onnxruntime pandas")

ROWS, CLOSE = 200, 1e-4  # How many are compared, and what is no difference; of numbers above 1, in parts of them.
# What fitted estimators keep of the rows that they were given, a number a column.
SEEN = "statistics_ mean_ center_ data_min_ data_max_ theta_ means_ cluster_centers_ support_vectors_ _fit_X".split()
WRAPPERS = {"instances", "inputs", "dataframe_records", "dataframe_split"}  # No columns to the server, at the top.
REFUSED = {
    "DictVectorizer": "takes any keys, and an ONNX file has fixed inputs: train with ColumnTransformer, OneHotEncoder",
    "FixedThresholdClassifier": "is converted with a threshold of 0.5: save its estimator_, and compare yourself",
    "FunctionTransformer": "calls a Python function, which an ONNX file cannot hold: do its part before asking",
    "HashingVectorizer": "has no converter: train with TfidfVectorizer, or CountVectorizer",
    "KNNImputer": "ends the server's runtime by a division by zero: train with SimpleImputer",
    "TransformedTargetRegressor": "undoes its target by itself: save its regressor_, and undo that where you ask",
    "TunedThresholdClassifierCV": "is converted with a threshold of 0.5: save its estimator_, and compare yourself",
}


class Refusal(Exception):
    """Why a model cannot be converted, and what to do."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the saved model: .joblib, .pkl, .pickle or .sav, compressed or not")
    parser.add_argument("onnx", type=Path, nargs="?", help="the file to write: the model's name with .onnx, here")
    parser.add_argument("--data", type=Path, help="a CSV file with rows to compare by: made-up ones")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    try:
        return convert_file(args.model, args.onnx or Path(f"{args.model.name.split('.')[0]}.onnx"), args.data)
    except Exception as error:
        sys.exit(f"{args.model} cannot be converted. {explain(error, args.model)}")


def convert_file(path, target, data):
    """Writes the first conversion that answers as the model does, or else the best one. Gives the exit code."""
    model, names, width = choose_model(read_model(path))
    steps = flatten(copy.deepcopy(model))
    prepare(steps)
    columns = find_columns(model, steps, names, width, data)
    rows = read_rows(data, columns) if data else make_rows(columns)
    sent = rows.fillna({column.name: "" for column in columns if column.kind == "text"})
    expected = ask_model(model, rows)
    register_converters()
    attempts, errors = [], []
    for way in ways_of(steps, columns, is_frame=names_of(model) is not None):
        try:
            onnx_model = name_values(convert(steps, columns, way), columns)
            attempts.append((*compare(ask_file(onnx_model, sent), *expected), onnx_model, way))
        except Exception as error:
            errors.append(error)
        if attempts and attempts[-1][0].all():
            break
    if not attempts:
        raise errors[0]
    agree, off, onnx_model, way = max(attempts, key=lambda attempt: attempt[0].sum())
    target.write_bytes(onnx_model.SerializeToString())
    print(f"{target} is {' -> '.join(type(step).__name__ for step in steps)} as {', '.join(way)}.")
    numbers = "" if off is None else f"; numbers differ by {off:.0e} at most"
    print(f"{agree.sum()} of {len(rows)} {'' if data else 'made-up '}rows agree{numbers}.")
    print_example(target, sent)
    if agree.all():
        return 0
    print(f"They do not agree: do not serve {target} before you know why.", file=sys.stderr)
    return 3


def print_example(target, rows):
    row = rows.loc[[rows.notna().sum(axis=1).idxmax()]].to_json(orient="records", lines=True, force_ascii=False)
    row = row.strip() if WRAPPERS.isdisjoint(rows) else f'{{"instances":[{row.strip()}]}}'
    quoted = row.replace("'", "'\\''").replace(r"\/", "/")
    print(f"npm start {target if Path.cwd() == Path(__file__).resolve().parents[1] else target.resolve()}")
    print(f"curl -d '{quoted}' http://localhost:3000/predict")


def explain(error, path):
    text = str(error).strip().split("\n")[0][:300]
    if isinstance(error, (Refusal, OSError)):
        return text
    text = text.replace("invalid literal for int() with base 10:", "its converter takes labels that are numbers, not")
    if found := re.search(r"get attribute '(\w+)' on <module '__(?:mp_)?main__", text):
        return f"{found[1]} is code of the training script: save the model without it, and do its part before asking."
    if advice := other_version(path):
        return f"{text}: {advice}"
    if found := re.search(r"for type '?<class '(?:\w+\.)*(\w+)'", text):
        where, kept = (" in a Pipeline", "it by itself") if "CatBoost" in found[1] else ("", "the model without it")
        return f"There is no converter for {found[1]}{where}: train with another in its place, or save {kept}."
    return f"{type(error).__name__}: {text}"


def other_version(path):
    """What to do where another scikit-learn saved a file, whose version is read without running what is in it."""
    data = path.read_bytes()
    with suppress(zlib.error):
        data = zlib.decompress(data, wbits=47)  # zlib or gzip
    found = re.search(rb"_sklearn_version.{1,8}?(\d+\.\d+[\w.]*)", data, re.S)
    if not found or (version := found[1].decode()) == __version__:
        return None
    # scikit-learn 1.4.2 is the first that was built for NumPy 2.
    numpy = " 'numpy<2'" if [int(part) for part in re.findall(r"\d+", version)] < [1, 4, 2] else ""
    return (f"scikit-learn {version} saved it, and this is {__version__}: convert it where it was trained, or by a "
            f"Python of its day: pip install scikit-learn=={version}{numpy} skl2onnx onnxruntime pandas")


def read_model(path):
    try:
        saved = joblib.load(path)
    except Exception as error:
        if other_version(path) or isinstance(error, (ImportError, AttributeError, OSError)):
            raise
        raise Refusal(f"It is not a whole file of joblib or pickle ({error!r:.200}).")
    if advice := other_version(path):
        print(f"Warning: {advice}", file=sys.stderr)
    return saved


def choose_model(saved):
    """The one model in what was saved, the names of its columns where they lie beside it, and how many it takes."""
    parts = saved if isinstance(saved, dict) else dict(enumerate(saved if type(saved) in (list, tuple) else [saved]))
    models = [key for key, part in parts.items() if hasattr(part, "predict") and hasattr(part, "get_params")]
    encoders = [key for key, part in parts.items() if hasattr(part, "transform") and not hasattr(part, "classes_")]
    taken = [key for key in encoders if key not in models] + models
    if len(models) != 1 or len(taken) > 2:
        held = ", ".join(type(part).__name__ for part in parts.values())
        raise Refusal(f"It holds {held}, not one model that can predict: save that, or a Pipeline of its steps.")
    model, first = parts[models[0]], flatten(parts[taken[0]])[0]
    width = getattr(first, "n_features_in_", 0) or len(getattr(first, "feature_names_", None) or [])  # CatBoost's is 0.
    lists = [list(part) for part in parts.values() if isinstance(part, (tuple, list, np.ndarray, pd.Index))]
    lists = [part for part in lists if len(part) == width and part != list(getattr(model, "classes_", []))]
    names = next((part for part in lists if all(isinstance(name, str) for name in part)), None)
    return pipeline.make_pipeline(*(parts[key] for key in taken)) if len(taken) > 1 else model, names, width


def flatten(model):
    """The steps of a model, a pipeline or a search, without those that do nothing where it predicts."""
    model = getattr(model, "best_estimator_", model)
    if not hasattr(model, "steps"):
        return [model]
    steps = [step for _, step in model.steps if step not in (None, "passthrough") and not hasattr(step, "fit_resample")]
    return [part for step in steps for part in flatten(step)]


def parts_of(value):
    """The estimators in a list or in an estimator, itself included."""
    if isinstance(value, (list, tuple)) or isinstance(value, np.ndarray) and value.dtype == object:
        for item in value:
            yield from parts_of(item)
    elif hasattr(value, "get_params") and not isinstance(value, type):
        yield value
        yield from parts_of(list(vars(value).values()))


def prepare(steps):
    """Changes a copy of a model as its converters want it, and no answer. Throws a Refusal where none is right."""
    for part in parts_of(steps):
        name = type(part).__name__
        if name in REFUSED and getattr(part, "func", True):
            raise Refusal(f"{name} {REFUSED[name]}.")
        if (np.any(getattr(part, "is_categorical_", False)) or getattr(part, "get_cat_feature_indices", list)()
                or getattr(getattr(part, "booster_", None), "pandas_categorical", None)
                or "c" in (getattr(getattr(part, "_Booster", None), "feature_types", None) or [])):
            raise Refusal(f"{name} takes categories as they are, which its export cannot say: encode them before it.")
        if hasattr(part, "transformers_"):
            places = part._transformer_to_input_indices
            part.transformers_ = [(key, step, list(places.get(key, []))) for key, step, _ in part.transformers_]
        # The one is for VotingClassifier's transform(), the other out of the vocabulary: skl2onnx trips over both.
        part.flatten_transform, part.stop_words = False, None
        if getattr(part, "encode", None) == "onehot":  # Of KBinsDiscretizer, whose converter knows no sparse matrix.
            part.encode = "onehot-dense"
        if getattr(part, "_Booster", None) is not None:
            part._Booster.feature_names = part._Booster.feature_types = None  # onnxmltools wants f0, f1, …
        if hasattr(part, "statistics_") and holds_text(part.statistics_):
            part.missing_values = ""
        for values in filter(holds_text, getattr(part, "categories_", [])):
            values[pd.isna(values)] = ""


def holds_text(values):
    return any(isinstance(value, str) for value in np.ravel(np.asarray(values, dtype=object)))


def find_columns(model, steps, names, width, data):
    """The columns that a model reads, with what its steps have learnt of them."""
    names = (own := names_of(model)) or names
    if not own and any(hasattr(part, "vocabulary_") for part in parts_of(steps[0])):
        names = ["text"]
    elif not names and data:
        names = list(pd.read_csv(data, nrows=0))
    elif not names and not width:
        raise Refusal("It does not know its columns: save it after fit(), or give it rows, --data rows.csv.")
    elif not names:
        names = [f"feature{i + 1}" for i in range(width)]
        print(f"Note: its columns have no names: they become {names[0]} to {names[-1]}, in the order of the training.")
    columns = [SimpleNamespace(name=name, kind="number", seen=[], is_code=False, can_miss=False) for name in names]
    for part, its_columns in readers_of(steps, columns):
        learn(part, its_columns)
    if not own or not hasattr(steps[0], "transformers_"):
        return columns
    parts = [part for part in steps[0].transformers_ if part[1] != "drop"]
    read = sorted({place for _, _, places in parts for place in places})
    steps[0].transformers_ = [(key, part, [read.index(place) for place in places]) for key, part, places in parts]
    if len(read) < len(names):
        print(f"Note: it reads these columns alone: {', '.join(names[place] for place in read)}.")
    return [columns[place] for place in read]


def names_of(model):
    keys = ("feature_names_in_", "feature_names_", "feature_name_")
    found = [np.ravel(getattr(part, key, [])).astype(str) for part in [model, *flatten(model)[::-1]] for key in keys]
    return next((names.tolist() for names in found if not all(re.fullmatch(r"(Column_)?\d+", x) for x in names)), None)


def readers_of(steps, columns):
    """The fitted parts that read columns as they come, each with its columns."""
    for step in steps:
        inner = [(part, columns) for _, part in getattr(step, "transformer_list", [])]
        inner += [(part, [columns[i] for i in places]) for _, part, places in getattr(step, "transformers_", [])]
        for part, its_columns in inner:
            yield from [] if isinstance(part, str) else readers_of(flatten(part), its_columns)
        yield from ((part, columns) for part in ([] if inner else parts_of(step)))
        if "Imputer" not in type(step).__name__:
            return


def learn(part, columns):
    """Notes what a fitted part tells of the columns that it reads: their kinds, and values to make up others by."""
    seen = [(columns[place], values) for place, values in splits_of(part)]
    if hasattr(part, "vocabulary_"):
        columns[0].kind, columns[0].seen = "words", list(part.vocabulary_)
    for column, values in zip(columns, getattr(part, "categories_", [])):
        column.kind = "text" if holds_text(values) else {"i": "whole", "b": "bool"}.get(values.dtype.kind, "number")
        column.can_miss = "" in values or column.can_miss and column.kind != "whole" and set(column.seen) <= set(values)
        column.is_code, column.seen = True, []  # What an imputer fills in, the encoder behind it need not know.
        seen.append((column, values[values != ""]))
    tables = [np.asarray(getattr(part, key, None)) for key in SEEN]
    if np.shape(getattr(part, "mean_", None)) == np.shape(getattr(part, "scale_", None)) == (len(columns),):
        tables += [part.mean_ - 2 * part.scale_, part.mean_ + 2 * part.scale_]
    for table in tables:
        if table.shape[-1:] == (len(columns),):
            seen += zip(columns, table.reshape(-1, len(columns)).T)
    for column, values in seen:
        values = np.ravel(values)
        column.seen += values[~pd.isna(values)][:500].tolist()
        column.can_miss |= "Imputer" in type(part).__name__


def splits_of(model):
    if hasattr(model, "tree_"):
        return [(place, value) for place, value in zip(model.tree_.feature, model.tree_.threshold) if place >= 0][:100]
    if hasattr(model, "_bin_mapper"):
        return enumerate(model._bin_mapper.bin_thresholds_)
    if hasattr(model, "get_borders"):
        return model.get_borders().items()
    if (booster := getattr(model, "_Booster", None)) is not None:
        trees = booster.trees_to_dataframe().rename(columns={"split_feature": "Feature", "threshold": "Split"})
        names = booster.feature_name() if hasattr(model, "booster_") else [f"f{i}" for i in range(model.n_features_in_)]
        return [(names.index(name), float(at)) for name, at in zip(trees.Feature, trees.Split) if pd.notna(at)]
    return []


def make_rows(columns):
    random, rows = np.random.default_rng(0), {}
    for column in columns:
        seen = column.seen or (["a"] if column.kind in ("text", "words") else [-2.0, -0.5, 0.0, 1.0, 3.0])
        values = [seen[i] for i in random.integers(0, len(seen), ROWS)]
        if column.kind == "words":
            seen = seen + ["Don't", "CAFÉ", "naïve", "e-mail", "42", "x", "über_all", "日本語", "the", "..."]
            values = [" ".join(random.choice(seen, size)) for size in random.integers(1, 15, ROWS)]
        elif column.kind == "number" and not column.is_code:
            noisy = values + random.normal(0, np.std(seen) / 3 or abs(seen[0]) / 4 or 1, ROWS)
            values = [float(f"{value:.4g}") for value in noisy]
        rows[column.name] = [np.nan if column.can_miss and random.random() < 0.1 else value for value in values]
    return pd.DataFrame(rows)


def read_rows(path, columns):
    texts = {column.name: str for column in columns if column.kind in ("text", "words")}
    names = [column.name for column in columns]
    frame = pd.read_csv(path, dtype=texts, usecols=names)[names]
    for column in columns:
        column.kind = "bool" if frame[column.name].dtype == bool else column.kind
    return frame.sample(min(ROWS, len(frame)), random_state=0).reset_index(drop=True)


def ways_of(steps, columns, is_frame):
    kinds = {column.kind for column in columns}
    is_plain = WRAPPERS.isdisjoint(column.name for column in columns)
    form = "one matrix" if is_plain and kinds <= {"number", "number" if is_frame else "whole"} else "an input a column"
    ways = [[form, "float32"], [form, "doubles"]]
    if len(steps) > 1:
        # scikit-learn's steps give doubles and its trees take float32: on a threshold, other roundings go astray.
        has_trees = re.search("Tree|Forest|Boost|LGBM|XGB|Bagging", type(steps[-1]).__name__)
        ways.insert(0 if has_trees else 1, [form, "doubles", "a cast before the last step"])
    if hasattr(steps[-1], "get_booster") and len(steps) > 1:  # To XGBoost what a sparse matrix leaves out is missing.
        ways = [way + zeros for way in ways for zeros in ([], ["zeros as missing"])]
    return ways


def convert(steps, columns, way):
    *before, last = steps
    if type(last).__name__.startswith("CatBoost") and not before:
        return import_module("catboost.utils").convert_to_onnx_object(last)
    number = data_types.DoubleTensorType if "doubles" in way else data_types.FloatTensorType
    types = {"number": number, "bool": number, "whole": data_types.Int64TensorType}
    inputs = [types.get(column.kind, data_types.StringTensorType)([None, 1]) for column in columns]
    if "one matrix" in way:
        inputs = [number([None, len(columns)])]
    elif not any(hasattr(steps[0], key) for key in ("transformers_", "categories_", "vocabulary_")):
        before.insert(0, preprocessing.FunctionTransformer())  # It joins the inputs.
    before += [sklapi.ReplaceTransformer(from_value=0, to_value=np.nan)] * ("zeros as missing" in way)
    before += [sklapi.CastTransformer()] * ("a cast before the last step" in way)
    return to_onnx(
        pipeline.make_pipeline(*before, last), options=options_of(steps), naming="inner_",
        initial_types=[(f"input{i}", kind) for i, kind in enumerate(inputs)],
        target_opset={"": 18, "ai.onnx.ml": 3})  # IsolationForest needs the latter; all of today's runtimes read both.


def options_of(steps):
    options = {}
    for part in parts_of(steps):
        if hasattr(part, "vocabulary_") and part.analyzer == "word":
            pattern = part.token_pattern.replace("(?u)", "").replace(r"\b", "")  # The runtime: \w is ASCII, no \b.
            pattern = re.sub(r"\[[^\]]*\]", lambda found: found[0].replace(r"\w", r"\pL\pN_"), pattern)
            options[id(part)] = {"tokenexp": pattern.replace(r"\w", r"[\pL\pN_]")}
        elif type(part).__name__ in ("LinearSVC", "RFE", "RFECV"):
            options[id(part)] = {}  # Without options of their own skl2onnx gives them one that they lack.
        elif isinstance(getattr(part, "classes_", None), list):
            options[id(part)] = {"zipmap": False}  # Of several labels there is none that the runtime loads.
    return options


def register_converters():
    make_attribute, bools = onnx.helper.make_attribute, (bool, np.bool_)
    # protobuf 7 refuses the booleans that skl2onnx 1.20 gives as HistGradientBoosting's numbers.
    onnx.helper.make_attribute = lambda key, value, *more, **named: make_attribute(
        key, [int(x) if isinstance(x, bools) else x for x in value] if type(value) is list else value, *more, **named)
    _registration.register_converter("SklearnSimpleImputer", convert_imputer, overwrite=True)
    for module, file, prefix in (("lightgbm", "LightGbm", "LGBM"), ("xgboost", "XGBoost", "XGB")):
        if module in sys.modules:
            converters = import_module(f"onnxmltools.convert.{module}.operator_converters.{file}")
            classes = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
            for kind, options in (("Classifier", classes), ("Regressor", {"split": None})):
                update_registered_converter(
                    getattr(sys.modules[module], f"{prefix}{kind}"), f"{file}{prefix}{kind}",
                    getattr(shape_calculator, f"calculate_linear_{kind.lower()}_output_shapes"),
                    getattr(converters, f"convert_{module}"), options=options)


def convert_imputer(scope, operator, container):
    """A SimpleImputer of doubles, which the runtime's own Imputer does not take."""
    imputer = operator.raw_operator
    if not isinstance(operator.inputs[0].type, data_types.DoubleTensorType) or not pd.isna(imputer.missing_values):
        return imputer_op.convert_sklearn_imputer(scope, operator, container)
    value = common.concatenate_variables(scope, operator.inputs, container)
    missing, fill = scope.get_unique_variable_name("missing"), scope.get_unique_variable_name("fill")
    container.add_initializer(fill, onnx.TensorProto.DOUBLE, [1, imputer.statistics_.size], imputer.statistics_)
    container.add_node("IsNaN", value, missing)
    container.add_node("Where", [missing, fill, value], operator.outputs[0].full_name)


def name_values(onnx_model, columns):
    """Names inputs as the columns, or the columns of one matrix in the metadata, and outputs as in a reply."""
    graph, names = onnx_model.graph, [column.name for column in columns]
    inputs, outputs = [value.name for value in graph.input], [value.name for value in graph.output]
    new = dict(zip(inputs, names))
    for column, value in zip(columns, graph.input):
        if column.kind == "bool":  # What reads it takes numbers.
            kind = value.type.tensor_type
            graph.node.insert(0, onnx.helper.make_node("Cast", [new.pop(value.name)], [value.name], to=kind.elem_type))
            value.name, kind.elem_type = column.name, onnx.TensorProto.BOOL
    if len(inputs) == 1 and columns[0].kind in ("number", "whole"):
        new = {inputs[0]: "X" if "X" not in names else "X_"}
        onnx_model.metadata_props.add(key="features", value=pd.Series(names).to_json(orient="values"))
    shown = {outputs[0]: "prediction", "output_probability": "probabilities"}
    new.update({name: shown[name] for name in outputs if name in shown and shown[name] not in names})
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
    for value in [*graph.input, *graph.output]:
        value.name = new.get(value.name, value.name)
    return onnx_model


def ask_model(model, rows):
    given = rows if names_of(model) else rows["text"].tolist() if list(rows) == ["text"] else rows.to_numpy()
    try:
        probabilities = model.predict_proba(given) if hasattr(model, "predict_proba") else None
        return np.asarray(model.predict(given)), probabilities if isinstance(probabilities, np.ndarray) else None
    except Exception as error:
        if doubles := list(rows.select_dtypes("float64")):  # What was fitted on float32 may take nothing else.
            return ask_model(model, rows.astype(dict.fromkeys(doubles, "float32")))
        raise Refusal(f"It does not take these rows itself ({error!r:.200}): give it others, --data rows.csv.")


def ask_file(onnx_model, rows):
    checked = copy.deepcopy(onnx_model)
    for node in checked.graph.node:
        if node.op_type == "StringNormalizer" and sys.platform == "linux":  # As the server: slim images lack en_US.
            node.attribute.append(onnx.helper.make_attribute("locale", "C.UTF-8"))
    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(checked.SerializeToString(), providers=["CPUExecutionProvider"])
    types = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64, "tensor(bool)": bool}
    return session.run(None, {
        value.name: (rows[[value.name]] if value.name in rows else rows).to_numpy(types.get(value.type, object))
        for value in session.get_inputs()})


def compare(found, predictions, probabilities):
    got = np.asarray(found[0]).reshape(predictions.shape)
    is_number = predictions.dtype.kind == "f" and probabilities is None
    same = is_number | (got == predictions).reshape(len(got), -1).all(axis=1)
    got, wanted = (got, predictions) if is_number else (found[-1], probabilities)
    if wanted is None:
        return same, None
    got = pd.DataFrame(got).to_numpy() if isinstance(got, list) else got
    off = (np.abs(got - wanted) / np.maximum(1, np.abs(wanted))).reshape(len(wanted), -1).max(axis=1)
    if not is_number:
        same |= np.ptp(np.sort(wanted, axis=1)[:, -2:], axis=1) < 1e-5  # A tie.
    return same & (off < CLOSE), off.max()


if __name__ == "__main__":
    sys.exit(main())
