"""Exports small scikit-learn models with skl2onnx, by its default options but for zipmap-*.

    pip install scikit-learn skl2onnx
    python3 tests/models/sklearn_models.py

Writes <name>.onnx and sklearn.json beside this file. The JSON holds a few instances for each model,
and for each output scikit-learn's own answer, one value a row.
"""
from pathlib import Path

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import (
    DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType)
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingRegressor, IsolationForest, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from answers import write

HERE = Path(__file__).parent
iris, tumours, diabetes = load_iris(), load_breast_cancer(), load_diabetes(scaled=False)
species = iris.target_names[iris.target]
sizes = iris.data[:, 2:]

# City, age (one is missing), visits; whether the customer bought.
customers = np.array([
    ["Paris", 34.0, 3], ["Rome", 51.5, 1], ["Rome", np.nan, 8], ["Oslo", 27.0, 5],
    ["Paris", 42.0, 0], ["Oslo", 63.0, 9], ["Rome", 19.5, 2], ["Paris", np.nan, 7],
], dtype=object)
bought = np.array(["no", "no", "yes", "yes", "no", "yes", "no", "yes"])

reviews = [
    "A lovely, lovely film with a warm heart", "Dull plot and wooden acting",
    "The acting was superb and the plot clever", "I walked out: noisy, dull, far too long",
    "Warm, clever and funny", "Too long and not funny",
]
liked = np.array(["good", "bad", "good", "bad", "good", "bad"])
tickets = ["refund my order", "reset my password", "where is my order", "cannot log in"]
team = np.array([20, 10, 20, 10])

COLUMNS = [
    ("city", StringTensorType([None, 1])),
    ("age", FloatTensorType([None, 1])),
    ("visits", Int64TensorType([None, 1])),
]
prepare = ColumnTransformer([
    ("city", OneHotEncoder(handle_unknown="ignore"), [0]),
    ("age", make_pipeline(SimpleImputer(), StandardScaler()), [1]),
    ("visits", StandardScaler(), [2]),
])


def matrix(k, element=FloatTensorType):
    return [("X", element([None, k]))]


def text():
    return [("text", StringTensorType([None, 1]))]


def zipmap(model, X):
    probabilities = [dict(zip(model.classes_, row)) for row in model.predict_proba(X)]
    return {"output_label": model.predict(X), "output_probability": probabilities}


def no_zipmap(model, X):
    return {"label": model.predict(X), "probabilities": model.predict_proba(X)}


def zipmap_columns(model, X):
    # skl2onnx puts s before a string label, i before an integer.
    columns = zip(model.classes_, model.predict_proba(X).T)
    return {"output_label": model.predict(X), **{f"s{label}": column for label, column in columns}}


def regressor(model, X):
    return {"variable": model.predict(X)}


def transformer(model, X):
    return {"variable": model.transform(X)}


def clusters(model, X):
    return {"label": model.predict(X), "scores": model.transform(X)}


def outliers(model, X):
    return {"label": model.predict(X), "scores": model.decision_function(X)}


def several(model, X):
    """The probabilities are a sequence of tensors, of which the server makes outputs."""
    probabilities = {f"probabilities_{i}": p for i, p in enumerate(model.predict_proba(X))}
    return {"label": model.predict(X), **probabilities}


def nothing(model, X):
    """ONNX Runtime refuses the model: its ZipMap takes no doubles."""
    return {}


def logistic():
    return LogisticRegression(max_iter=1000)


# name: estimator, inputs, training data (X, y), rows to ask, expected outputs, options
MODELS = {
    "logreg": (logistic(), matrix(4), iris.data, species, [0, 70, 140], zipmap),
    "zipmap-columns": (
        logistic(), matrix(4), iris.data, species, [0, 70, 140], zipmap_columns, {"zipmap": "columns"}),
    "zipmap-off": (
        logistic(), matrix(4), iris.data, species, [0, 70, 140], no_zipmap, {"zipmap": False}),
    "forest": (
        RandomForestClassifier(n_estimators=4, max_depth=3, random_state=0), matrix(4), iris.data,
        iris.target - 1, [0, 77, 149], zipmap),
    "tree-integers": (
        DecisionTreeClassifier(max_depth=3, random_state=0), matrix(4, Int64TensorType),
        (iris.data * 10).astype(np.int64), species, [1, 71, 141], zipmap),
    "svc": (
        make_pipeline(StandardScaler(), SVC(probability=True, random_state=0)), matrix(2), sizes[::3],
        species[::3], [0, 20, 40], zipmap),
    "mlp": (
        make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=2000, random_state=0)),
        matrix(4), tumours.data[:, :4], tumours.target, [0, 19, 50], zipmap),
    "zipmap-double": (
        logistic(), matrix(4, DoubleTensorType), iris.data, species, [], nothing),
    "multi-label": (
        MultiOutputClassifier(logistic()), matrix(4), iris.data,
        np.column_stack([iris.target == 0, iris.target == 2]).astype(np.int64), [0, 70, 140], several),
    "regression": (LinearRegression(), matrix(2), sizes, iris.data[:, 0], [0, 60, 120], regressor),
    "multi-output": (LinearRegression(), matrix(2), sizes, iris.data[:, :2], [0, 60, 120], regressor),
    "boosting": (
        GradientBoostingRegressor(n_estimators=8, max_depth=2, random_state=0), matrix(10),
        diabetes.data, diabetes.target, [0, 10, 20], regressor),
    "knn": (
        KNeighborsRegressor(3), matrix(2), diabetes.data[:40, 2:4], diabetes.target[:40], [0, 20, 39],
        regressor),
    "kmeans": (
        KMeans(3, n_init=1, random_state=0), matrix(4), iris.data, None, [0, 70, 140], clusters),
    "outliers": (
        IsolationForest(n_estimators=2, max_samples=16, random_state=0), matrix(2), sizes, None,
        [0, 60, 118], outliers),
    "pca": (
        make_pipeline(StandardScaler(), PCA(2)), matrix(4, DoubleTensorType), iris.data, None,
        [0, 70, 140], transformer),
    "mixed": (
        make_pipeline(prepare, logistic()), COLUMNS, customers, bought, [0, 2, 3, 5], zipmap),
    "text": (make_pipeline(TfidfVectorizer(), logistic()), text(), reviews, liked, [0, 1, 5], zipmap),
    "counts": (
        make_pipeline(CountVectorizer(), MultinomialNB()), text(), tickets, team, [0, 1, 2, 3], zipmap),
}


def export(name, model, inputs, X, y, rows, expect, options=None):
    """Fits and saves one model; returns its entry in sklearn.json."""
    model.fit(X, y)
    onnx_model = convert_sklearn(model, name, inputs, options=options and {id(model): options})
    (HERE / f"{name}.onnx").write_bytes(onnx_model.SerializeToString())

    asked = [X[row] for row in rows]
    names = [name for name, _ in inputs]
    instances = [dict(zip(names, row)) for row in asked] if len(inputs) > 1 else asked
    return {"instances": instances, "outputs": expect(model, asked)}


if __name__ == "__main__":
    answers = {name: export(name, *case) for name, case in MODELS.items()}
    answers = {name: answer for name, answer in answers.items() if answer["outputs"]}
    write(HERE / "sklearn.json", answers)
