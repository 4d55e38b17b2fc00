"""scikit-learn by skl2onnx; LightGBM and XGBoost by onnxmltools; CatBoost by itself. Run by exporters.ts."""
import catboost
import lightgbm
import numpy as np
import onnxmltools
import pandas as pd
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as BoosterTensorType
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from skl2onnx.sklapi import CastTransformer
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier, RandomForestRegressor)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from answers import HERE, rows_of, save, zipmap

random = np.random.default_rng(0)
iris = load_iris(as_frame=True)
species = iris.target_names[iris.target]
measured = iris.data.to_numpy()
diabetes = load_diabetes()
some = slice(0, 150, 9)

size = 60
customers = pd.DataFrame({
    "city": random.choice(["Oslo", "Paris", "Rome", "Zürich"], size),
    "plan": random.choice(["basic", "plus"], size),
    "age": np.where(random.random(size) < 0.1, np.nan, random.integers(18, 80, size)),
    "visits": random.integers(0, 20, size).astype(float),
})
bought = np.where(customers.visits + (customers.city == "Oslo") * 5 + random.normal(size=size) > 9, "yes", "no")
asked = customers[:17]
narrow = {"age": np.float32, "visits": np.float32}

reviews = ["café très agréable", "service lent, café froid", "déjeuner agréable à l'été", "trop cher et froid",
           "très bon dîner", "lent et cher", "été agréable, bon café", "dîner froid"]
liked = np.array(["bon", "mauvais", "bon", "mauvais", "bon", "mauvais", "bon", "mauvais"])


def customer_pipeline(encoder, estimator, columns=("age", "visits")):
    """Two columns of text, and those of numbers; ages are missing here and there."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler()) if "age" in columns else StandardScaler()
    steps = [("text", encoder, ["city", "plan"]), ("numbers", numbers, list(columns))]
    return make_pipeline(ColumnTransformer(steps), estimator)


def logistic():
    return LogisticRegression(max_iter=1000)


def forest(**options):
    return RandomForestClassifier(n_estimators=5, max_depth=4, random_state=0, **options)


def write(name, model):
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


def classified(model, X):
    return {"output_label": model.predict(X), "output_probability": zipmap(model.classes_, model.predict_proba(X))}


def boosted(model, X):
    return {"label": model.predict(X), "probabilities": zipmap(model.classes_, model.predict_proba(X))}


def frame(name, pipeline, table, types, target, outputs):
    """A pipeline over the columns of a frame, whose types are changed where it is exported."""
    pipeline.fit(table, target)
    write(name, to_onnx(pipeline, table[:1].astype(types)))
    save(name, rows_of(table[:17].astype(types).to_dict("series")), outputs(pipeline, table[:17]))


def matrix(name, model, X, target, outputs, kind=FloatTensorType, rows=some, **options):
    """A model over one matrix."""
    model.fit(X, target)
    write(name, to_onnx(model, initial_types=[("X", kind([None, X.shape[1]]))], **options))
    save(name, rows_of({"X": X[rows]}), outputs(model, X[rows]))


def variable(model, X):
    return {"variable": model.predict(X)}


ignoring = OneHotEncoder(handle_unknown="ignore")
frame("frame", customer_pipeline(ignoring, logistic()), customers, narrow, bought, classified)
frame("one-hot", customer_pipeline(OneHotEncoder(), logistic()), customers, narrow, bought, classified)
ordinal = customer_pipeline(OrdinalEncoder(), RandomForestRegressor(5, max_depth=4, random_state=0))
frame("ordinal", ordinal, customers, narrow, customers.visits, variable)
# Columns of float64: a ZipMap of doubles and, where an age may be missing, what the runtime cannot do.
visitors = customers.drop(columns="age")
frame("frame-doubles", customer_pipeline(ignoring, logistic(), ["visits"]), visitors, {}, bought, classified)
write("imputer-doubles", to_onnx(customer_pipeline(ignoring, logistic()).fit(customers, bought), customers[:1]))

# Categories that are numbers, in a matrix and in columns.
codes = pd.DataFrame({"zip": random.choice([1010, 2020, 3030], size), "shop": random.choice([7, 8], size)})
matrix("one-hot-matrix", make_pipeline(OneHotEncoder(), logistic()), codes.to_numpy(np.float32), bought, classified,
       rows=slice(0, 17))
frame("one-hot-integers", make_pipeline(OneHotEncoder(), logistic()), codes, {}, bought, classified)

# Names with spaces and brackets.
names = make_pipeline(StandardScaler(), logistic()).fit(iris.data, species)
write("names", to_onnx(names, iris.data[:1].astype(np.float32)))
save("names", rows_of(iris.data[some].to_dict("series")), classified(names, iris.data[some]))

text = make_pipeline(TfidfVectorizer(), logistic()).fit(reviews, liked)
tokens = {TfidfVectorizer: {"tokenexp": r"[\pL\pN_]{2,}"}}
write("tfidf", to_onnx(text, initial_types=[("text", StringTensorType([None, 1]))], options=tokens))
save("tfidf", rows_of({"text": reviews}), classified(text, reviews))

matrix("forest-scaled", make_pipeline(StandardScaler(), forest()), measured.astype(np.float32), species, classified)
matrix("forest-doubles", make_pipeline(StandardScaler(), CastTransformer(), forest()), measured, species, classified,
       DoubleTensorType)
matrix("zipmap-false", logistic(), measured, iris.target.to_numpy(),
       lambda model, X: {"label": model.predict(X), "probabilities": model.predict_proba(X)},
       options={"zipmap": False})


two = np.column_stack([iris.target == 0, iris.target == 2]).astype(np.int64)
matrix("multi-output", MultiOutputClassifier(logistic()), measured, two, lambda model, X: {
    "label": model.predict(X), **{f"probabilities_{i}": p for i, p in enumerate(model.predict_proba(X))}})
# One tensor for all labels, by label and row.
matrix("multi-forest", forest(), measured, two, lambda model, X: {
    "output_label": model.predict(X), "output_probability": np.stack(model.predict_proba(X), 1)})
matrix("outliers", IsolationForest(n_estimators=4, max_samples=16, random_state=0), measured, None,
       lambda model, X: {"label": model.predict(X), "scores": model.decision_function(X)},
       target_opset={"": 18, "ai.onnx.ml": 3})
matrix("hist-boosting", HistGradientBoostingClassifier(max_iter=4, max_depth=3), measured.astype(np.float32), species,
       classified)
matrix("linear", LinearRegression(), diabetes.data, diabetes.target / 100, variable)

floats = measured.astype(np.float32)
initial = [("X", BoosterTensorType([None, 4]))]
trees = {"n_estimators": 4, "max_depth": 3}


def booster(name, model, convert, target, outputs):
    model.fit(floats, target)
    write(name, convert(model, initial_types=initial))
    save(name, rows_of({"X": floats[some]}), outputs(model, floats[some]))


sizes = floats[:, 0]
quiet = {"verbose": -1, "min_child_samples": 5}
booster("lightgbm", lightgbm.LGBMClassifier(**trees, **quiet), onnxmltools.convert_lightgbm, iris.target, boosted)
booster("lightgbm-regression", lightgbm.LGBMRegressor(**trees, **quiet), onnxmltools.convert_lightgbm, sizes, variable)
booster("xgboost", xgboost.XGBClassifier(**trees), onnxmltools.convert_xgboost, iris.target,
        lambda model, X: {"label": model.predict(X), "probabilities": model.predict_proba(X)})
booster("xgboost-regression", xgboost.XGBRegressor(**trees), onnxmltools.convert_xgboost, sizes, variable)


def cat(name, model, target, outputs):
    model.fit(floats, target)
    model.save_model(str(HERE / f"{name}.onnx"), format="onnx")
    save(name, rows_of({"features": floats[some]}), outputs(model, floats[some]))


few = {"iterations": 4, "depth": 3, "verbose": 0, "allow_writing_files": False}
cat("catboost", catboost.CatBoostClassifier(**few), species,
    lambda model, X: {"label": model.predict(X).ravel(), "probabilities": zipmap(model.classes_, model.predict_proba(X))})
cat("catboost-regression", catboost.CatBoostRegressor(**few), sizes, lambda model, X: {"predictions": model.predict(X)})
