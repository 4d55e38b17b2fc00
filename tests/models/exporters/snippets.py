"""Runs the Python of model/README.md README.md and routes/README.md as they stand. Run by exporters.ts, after `tsc`."""
import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import requests

ROOT = Path(__file__).resolve().parents[3]


def snippets(file, heading):
    """The Python blocks below a heading."""
    text = (ROOT / file).read_text()
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)[1]
    return re.findall(r"```python\n(.*?)```", section, re.S)


def run(code, address="localhost:3000", **names):
    """Runs a snippet with these names, and gives those that it leaves."""
    exec(compile(code.replace("localhost:3000", address), "snippet", "exec"), names)
    return names


@contextmanager
def served(path):
    """The address of a server of a model."""
    command = ["node", str(ROOT / "dist" / "app.js"), path]
    server = subprocess.Popen(command, env={**os.environ, "PORT": "0"}, stdout=subprocess.PIPE, text=True)
    try:
        yield next(found[1] for line in server.stdout if (found := re.search(r"http://(localhost:\d+)", line)))
    finally:
        server.kill()
        server.wait()


def check(path, values, expected, output="predictions"):
    """Asks a server of a model, and compares an output with the training code's."""
    with served(path) as address:
        answer = requests.post(f"http://{address}/predict", json={"instances": values.tolist()}).json()
    got = [list(row.values()) if isinstance(row, dict) else row for row in answer[output]]
    np.testing.assert_allclose(got, np.reshape(expected, np.shape(got)), atol=1e-5, err_msg=path)


def check_forms(address, frame, expected):
    """The table of forms: those of to_dict are for frames in which nothing is missing."""
    whole = frame.dropna()
    for body, rows in [
            (frame.to_json(orient="records"), frame),
            ('{"dataframe_split": %s}' % frame.to_json(orient="split"), frame),
            (json.dumps({"instances": whole.to_dict(orient="records")}), whole),
            (json.dumps({"inputs": whole.to_dict(orient="list")}), whole)]:
        answer = requests.post(f"http://{address}/predict", data=body).json()
        got = answer["predictions"] if "predictions" in answer else answer["outputs"]["output_label"]
        assert got == [expected[row] for row in rows.index], body[:40]


def run_sklearn():
    import catboost
    import lightgbm
    import xgboost
    from skl2onnx import to_onnx
    from sklearn.compose import ColumnTransformer
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    random = np.random.default_rng(0)
    frame = pd.DataFrame({
        "city": random.choice(["Oslo", "Paris", "Rome"], 300),
        "age": np.where(random.random(300) < 0.1, np.nan, random.integers(18, 80, 300)),
        "visits": random.integers(0, 20, 300),
    })
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = ColumnTransformer([("city", OneHotEncoder(), ["city"]), ("numbers", numbers, ["age", "visits"])])
    bought = np.where(frame.visits + 5 * (frame.city == "Oslo") > 9, "yes", "no")
    pipeline = make_pipeline(columns, LogisticRegression()).fit(frame, bought)
    of_frame, of_doubles, of_texts, of_boosters = snippets("model/README.md", "scikit-learn")
    [agree] = snippets("model/README.md", "Do the numbers agree?")
    [client] = snippets("model/README.md", "A client")
    run(of_frame, pipeline=pipeline, frame=frame)
    with served("model.onnx") as address:
        found = run(agree, address, pipeline=pipeline, frame=frame)
        assert found["labels"] == 1 and found["difference"] < 1e-4, found
        answer = run(client, address)["frame"]
        assert answer.prediction.tolist() == pipeline.predict(answer).tolist()
        check_forms(address, frame, pipeline.predict(frame).tolist())

    X, y = load_iris(return_X_y=True)
    [named] = snippets("routes/README.md", "Several models")
    of_matrix = to_onnx(LogisticRegression().fit(X[:, :2], y), X[:1, :2].astype("float32"))
    run(named, model=of_matrix)
    Path("named.onnx").write_bytes(of_matrix.SerializeToString())
    with served("named.onnx") as address:
        answer = requests.post(f"http://{address}/predict", json={"sepal_width": 3.5, "sepal_length": 5.1}).json()
        assert answer == {"prediction": 0}, answer

    forest = make_pipeline(StandardScaler(), RandomForestClassifier(10)).fit(X, y)
    run(of_doubles, forest=forest)
    check("forest.onnx", X, forest.predict_proba(X), "output_probability")

    reviews = np.array(["été froid", "bon café", "très bon", "café très froid"])
    texts = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(reviews, [0, 1, 1, 0])
    run(of_texts, texts=texts)
    check("text.onnx", reviews, texts.predict_proba(reviews), "output_probability")

    few = {"n_estimators": 5, "max_depth": 3}
    models = {
        "lightgbm": lightgbm.LGBMClassifier(**few, verbose=-1),
        "xgboost": xgboost.XGBClassifier(**few),
        "catboost": catboost.CatBoostClassifier(iterations=5, verbose=0, allow_writing_files=False)}
    run(of_boosters, **{f"{name}_model": model.fit(X, y) for name, model in models.items()})
    for name, model in models.items():
        check(f"{name}.onnx", X, model.predict_proba(X), "probabilities")


def run_torch():
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(4, 300), torch.nn.Tanh(), torch.nn.Linear(300, 2))
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 9, stride=8), torch.nn.ReLU(), torch.nn.Flatten(),
                                  torch.nn.Linear(4 * 27 * 27, 2))
    [of_readme] = snippets("README.md", "Your own model")
    of_rows, of_photos = snippets("model/README.md", "PyTorch")
    rows = torch.randn(200, 4)
    for export in (of_readme, of_rows):
        run(export, model=model)
        assert Path("model.onnx.data").exists()
        check("model.onnx", rows, model(rows).detach())
    photos = torch.randint(0, 256, (2, 30, 40, 3), dtype=torch.uint8)
    photo = run(of_photos, network=network)["Photo"](network)
    check("photo.onnx", photos, photo(photos).detach())


def run_keras():
    import keras

    scale = keras.layers.Normalization()
    rows = np.random.default_rng(0).normal(5, 3, (200, 4)).astype(np.float32)
    scale.adapt(rows)
    plain, by_saved_model = snippets("model/README.md", "Keras")
    for export, layers in ((plain, []), (by_saved_model, [scale])):
        model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(2)])
        expected = model.predict(rows, verbose=0)
        run(export, model=model)
        check("model.onnx", rows, expected)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        {"sklearn": run_sklearn, "torch": run_torch, "keras": run_keras}[sys.argv[1]]()
