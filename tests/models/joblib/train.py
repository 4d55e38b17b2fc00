"""
Saves models as people have them, each with 200 rows and its answers to them, and some that cannot be converted.
Run by ../exporters/exporters.ts: python train.py FOLDER
"""
import json
import pickle
import sys
from pathlib import Path

import catboost
import cloudpickle
import joblib
import lightgbm
import numpy as np
import pandas as pd
import xgboost
from sklearn.cluster import DBSCAN, KMeans
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.covariance import EllipticEnvelope
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingClassifier, GradientBoostingRegressor, HistGradientBoostingClassifier, IsolationForest,
    RandomForestClassifier, RandomForestRegressor, StackingClassifier, VotingClassifier)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import RFE
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, TunedThresholdClassifierCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer, KBinsDiscretizer, LabelEncoder, MinMaxScaler, OneHotEncoder, OrdinalEncoder,
    PolynomialFeatures, RobustScaler, StandardScaler)
from sklearn.svm import SVC, LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeRegressor

FOLDER = Path(sys.argv[1])
ROWS = 200


def save(file, saved, rows, model=None):
    """Saves a model, or what holds it, and its answers to the first rows, which are a frame, a matrix or texts."""
    path, model = FOLDER / file, model or saved
    dump(saved, path)
    probabilities = model.predict_proba(rows[:ROWS]) if hasattr(model, "predict_proba") else None
    answers = {
        "file": file,
        "rows": rows_of(rows[:ROWS]),
        "predictions": plain(np.asarray(model.predict(rows[:ROWS]))),
        # A list of them, one for each of several targets, goes by other names.
        "classes": plain(model.classes_) if isinstance(probabilities, np.ndarray) else None,
        "probabilities": plain(probabilities) if isinstance(probabilities, np.ndarray) else None}
    path.with_name(f"{file.split('.')[0]}.json").write_text(json.dumps(answers))


def dump(saved, path):
    if path.suffix == ".joblib":
        joblib.dump(saved, path, compress=("zlib", 3) if "compressed" in path.name else 0)
    else:
        path.write_bytes((cloudpickle if path.suffix == ".cloudpickle" else pickle).dumps(saved))


def rows_of(rows):
    """Rows as a client names their values; the columns of a matrix without names are feature1, feature2, …"""
    if isinstance(rows, np.ndarray):
        rows = pd.DataFrame(rows, columns=[f"feature{i + 1}" for i in range(rows.shape[1])])
    if isinstance(rows, list):
        rows = pd.DataFrame({"text": rows})
    texts = rows.select_dtypes(exclude=["number", "bool"])
    rows = rows.assign(**{name: rows[name].astype(object).fillna("") for name in texts})
    return rows.astype(object).where(rows.notna(), None).to_dict("records")


def plain(values):
    """In JSON's own types; false and true are 0 and 1, as skl2onnx's labels."""
    values = np.asarray(values)
    return (values.astype(int) if values.dtype == bool else values).tolist()


def missing(values, share=0.1):
    values = pd.Series(values)
    return values.where(random.random(len(values)) > share, np.nan)


random = np.random.default_rng(0)
size = 500

two = random.normal(5, 2, (size, 2))
bought = two[:, 0] + two[:, 1] / 2 + random.normal(size=size) > 7.5
iris = load_iris(as_frame=True)
order = random.permutation(150)
flowers, species = iris.data.iloc[order].reset_index(drop=True), iris.target_names[iris.target][order]
measures = flowers.to_numpy()

customers = pd.DataFrame({
    "city": random.choice(["Oslo", "Rome", "Zürich", "New York"], size),
    "plan": missing(random.choice(["free", "pro", "team"], size)).astype(object),
    "shop": random.choice([1010, 2020, 3030], size),
    "member": random.random(size) < 0.4,
    "age": missing(random.integers(18, 80, size).astype(float)),
    "income": random.lognormal(10, 0.5, size).round(2),
    "visits": random.integers(0, 50, size),
})
score = (customers.visits > 20) + (customers.city == "Oslo") + customers.member + (customers.age.fillna(40) > 50)
churned = np.where(score + random.normal(0, 0.5, size) > 1.7, "churn", "stay")
spent = (customers.income / 1000 + customers.visits * 2 + random.normal(0, 3, size)).to_numpy()
numbers = customers[["age", "income", "visits"]]

good, bad = "great good love excellent café schön".split(), "bad awful terrible hate naïve übel".split()
other = "the a product it's service don't was delivery 24 I 5 and über-fast e-mail screen".split()


def review():
    own = random.choice(good if (is_good := random.random() < 0.5) else bad, random.integers(1, 4))
    words = [*random.choice(other, random.integers(3, 9)), *own]
    random.shuffle(words)
    return " ".join(words) + random.choice([".", "!", "", " :)"]), "good" if is_good else "bad"


reviews, opinions = map(list, zip(*(review() for _ in range(size))))


def columns(last, texts=None):
    """A pipeline over the customers: categories, whole numbers, booleans, numbers of which some are missing."""
    texts = texts or make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    steps = [
        ("texts", texts, ["city", "plan"]),
        ("codes", OneHotEncoder(handle_unknown="ignore"), ["shop", "member"]),
        ("numbers", numbers, ["age", "income", "visits"])]
    return Pipeline([("columns", ColumnTransformer(steps)), ("last", last)])


def forest(**options):
    return RandomForestClassifier(30, random_state=0, **options)


def boosters():
    trees = {"n_estimators": 30, "max_depth": 4}
    quiet = {"verbose": 0, "iterations": 30, "allow_writing_files": False}
    full = numbers.fillna(0)
    save("lightgbm.joblib", lightgbm.LGBMClassifier(**trees, verbose=-1).fit(full, churned), full)
    save("lightgbm-regression.pkl", lightgbm.LGBMRegressor(**trees, verbose=-1).fit(full, spent), full)
    behind = columns(lightgbm.LGBMClassifier(**trees, verbose=-1))
    save("lightgbm-columns.joblib", behind.fit(customers, churned), customers)
    save("xgboost.joblib", xgboost.XGBClassifier(**trees).fit(numbers, churned == "churn"), numbers)
    save("xgboost-regression.pkl", xgboost.XGBRegressor(**trees).fit(numbers, spent), numbers)
    save("xgboost-columns.joblib", columns(xgboost.XGBRegressor(**trees)).fit(customers, spent), customers)
    save("xgboost-matrix.joblib", xgboost.XGBRegressor(**trees).fit(two, two[:, 0] * 2), two)
    save("catboost.joblib", catboost.CatBoostClassifier(**quiet).fit(full, churned), full)
    save("catboost-regression.pkl", catboost.CatBoostRegressor(**quiet).fit(full, spent), full)
    save("catboost-matrix.joblib", catboost.CatBoostClassifier(**quiet).fit(two, bought.astype(int)), two)
    commas = full.set_axis(["age (years)", "income, net", "X"], axis=1)
    save("catboost-names.joblib", catboost.CatBoostRegressor(**quiet).fit(commas, spent), commas)
    with_species = (xgboost.XGBClassifier(**trees), LabelEncoder().fit(species))
    with_species[0].fit(flowers, with_species[1].transform(species))
    save("xgboost-labels.pkl", with_species, flowers, with_species[0])


def matrices():
    save("logistic.joblib", LogisticRegression().fit(two, bought.astype(int)), two)
    save("booleans.pkl", LogisticRegression().fit(two, bought), two)
    signed = np.where(bought, 1, -1)
    save("signed.sav", SVC(probability=True).fit(two, signed), two)
    save("neighbours.joblib", KNeighborsClassifier(7).fit(two, signed), two)
    save("bayes.pickle", GaussianNB().fit(measures, species), measures)
    save("tree.joblib", DecisionTreeRegressor(max_depth=5).fit(two, two.sum(axis=1)), two)
    save("polynomial.joblib", make_pipeline(PolynomialFeatures(), Ridge()).fit(two, two[:, 0] ** 2), two)
    save("k-means.joblib", KMeans(3, random_state=0).fit(measures), measures)
    single = measures.astype("float32")
    save("k-means-float32.joblib", KMeans(3, random_state=0).fit(single), single)
    chosen = RFE(LogisticRegression(max_iter=500), n_features_to_select=2)
    save("chosen.joblib", make_pipeline(chosen, LogisticRegression(max_iter=500)).fit(measures, species), measures)
    save("bins.joblib", make_pipeline(KBinsDiscretizer(3), LogisticRegression()).fit(measures, species), measures)
    save("outliers.joblib", IsolationForest(n_estimators=30, random_state=0).fit(measures), measures)
    save("novelties.joblib", OneClassSVM(nu=0.1).fit(measures), measures)
    save("targets.joblib", RandomForestRegressor(20, random_state=0).fit(measures, measures[:, :2] * 10), measures)


def frames():
    save("forest.joblib", forest().fit(flowers, species), flowers)
    save("scaled-forest.joblib", make_pipeline(StandardScaler(), forest()).fit(flowers, species), flowers)
    boosting = make_pipeline(RobustScaler(), GradientBoostingClassifier(n_estimators=20))
    save("compressed.joblib", boosting.fit(flowers, species), flowers)
    components = make_pipeline(StandardScaler(), PCA(2), LogisticRegression())
    save("components.joblib", components.fit(flowers, species), flowers)
    save("network.joblib", make_pipeline(MinMaxScaler(), MLPClassifier(max_iter=400)).fit(flowers, species), flowers)
    save("hist-boosting.joblib", HistGradientBoostingClassifier(max_iter=20).fit(flowers, species), flowers)
    search = GridSearchCV(make_pipeline(StandardScaler(), SVC(probability=True)), {"svc__C": [0.1, 1]}, cv=3)
    save("grid-search.joblib", search.fit(flowers, species), flowers)
    search = RandomizedSearchCV(forest(), {"max_depth": [2, 4, 6]}, n_iter=2, cv=3, random_state=0)
    save("random-search.joblib", search.fit(flowers, species), flowers)
    several = [("logistic", make_pipeline(StandardScaler(), LogisticRegression())), ("forest", forest())]
    save("voting.joblib", VotingClassifier(several, voting="soft").fit(flowers, species), flowers)
    save("stacking.joblib", StackingClassifier(several).fit(flowers, species), flowers)
    both = np.column_stack([species == "setosa", flowers.iloc[:, 0] > 5.8]).astype(int)
    save("several-labels.joblib", MultiOutputClassifier(LogisticRegression(max_iter=500)).fit(flowers, both), flowers)
    save("several-forest.joblib", forest().fit(flowers, both), flowers)
    odd = flowers.set_axis(["Länge (cm)", "breite, [cm]", "X", "prediction"], axis=1)
    save("names.joblib", make_pipeline(StandardScaler(), LogisticRegression()).fit(odd, species), odd)
    save("names-forest.joblib", forest().fit(odd, species), odd)
    wrappers = flowers.set_axis(["inputs", "instances", "width", "length"], axis=1)
    save("names-wrappers.joblib", forest().fit(wrappers, species), wrappers)


def tables():
    save("customers.joblib", columns(LogisticRegression(max_iter=1000)).fit(customers, churned), customers)
    save("customers-boosting.joblib", columns(GradientBoostingClassifier()).fit(customers, churned), customers)
    ordinal = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="none"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1))
    save("customers-forest.joblib", columns(RandomForestRegressor(30), ordinal).fit(customers, spent), customers)
    known = make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder())
    save("customers-known.joblib", columns(LogisticRegression(max_iter=1000), known).fit(customers, churned), customers)
    nan = OneHotEncoder()
    save("customers-nan.joblib", columns(LogisticRegression(max_iter=1000), nan).fit(customers, churned), customers)
    some = make_column_transformer((OneHotEncoder(), ["city"]), (StandardScaler(), ["visits"]))
    save("customers-some.joblib", make_pipeline(some, LinearRegression()).fit(customers, spent), customers[["city", "visits"]])
    rest = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    table = customers[["income", "city", "visits"]]
    save("customers-rest.joblib", make_pipeline(rest, GradientBoostingRegressor()).fit(table, spent), table)
    table = pd.DataFrame({"review": reviews, "stars": random.integers(1, 6, size)})
    mixed = make_column_transformer((TfidfVectorizer(), "review"), (MinMaxScaler(), ["stars"]))
    save("review-and-stars.joblib", make_pipeline(mixed, LogisticRegression()).fit(table, opinions), table)


def texts():
    save("naive-bayes.joblib", make_pipeline(TfidfVectorizer(), MultinomialNB()).fit(reviews, opinions), reviews)
    save("linear-svm.joblib", make_pipeline(TfidfVectorizer(), LinearSVC()).fit(reviews, opinions), reviews)
    counts = CountVectorizer(stop_words="english", token_pattern=r"(?u)\b\w[\w'-]*\b")
    save("stop-words.joblib", make_pipeline(counts, ComplementNB()).fit(reviews, opinions), reviews)
    pairs = TfidfVectorizer(ngram_range=(1, 2), min_df=2)
    save("pairs.joblib", make_pipeline(pairs, SGDClassifier(random_state=0)).fit(reviews, opinions), reviews)
    both = {"vectorizer": TfidfVectorizer(), "model": LogisticRegression()}
    model = make_pipeline(*both.values()).fit(reviews, opinions)
    save("dictionary.pkl", both, reviews, model)


def dictionaries():
    model = forest().fit(two, bought.astype(int))
    named = pd.DataFrame(two, columns=["age", "income"])
    parts = {"classes": ["no", "yes", "perhaps"], "model": model, "columns": ["age", "income"]}
    save("dictionary-names.joblib", parts, named, model)


class OwnScaler(StandardScaler):
    """A class of the training script."""


def refused():
    (FOLDER / "refused").mkdir()

    def keep(file, saved):
        dump(saved, FOLDER / "refused" / file)

    (FOLDER / "refused" / "text.joblib").write_text("model,accuracy\nforest,0.9\n")
    (FOLDER / "refused" / "fewer.csv").write_text("feature1\n1\n")
    keep("whole.joblib", LogisticRegression().fit(two, bought))
    whole = FOLDER / "refused" / "whole.joblib"
    (FOLDER / "refused" / "cut.joblib").write_bytes(whole.read_bytes()[:300])
    # The same file, as if another version had saved it.
    (FOLDER / "refused" / "old.joblib").write_bytes(whole.read_bytes().replace(b"1.9.1", b"1.2.2"))
    keep("lambda.cloudpickle", make_pipeline(FunctionTransformer(lambda X: X**2), LinearRegression()).fit(two, bought))
    keep("own.joblib", make_pipeline(OwnScaler(), LogisticRegression()).fit(two, bought))
    keep("dbscan.joblib", DBSCAN().fit(two))
    keep("pca.joblib", PCA().fit(two))
    keep("envelope.joblib", EllipticEnvelope().fit(two))
    keep("weighted.joblib", KNeighborsRegressor(weights="distance").fit(two, two[:, 0]))
    keep("imputer.joblib", make_pipeline(KNNImputer(), LogisticRegression()).fit(two, bought))
    keep("threshold.joblib", TunedThresholdClassifierCV(LogisticRegression()).fit(two, bought))
    keep("unfitted.joblib", make_pipeline(StandardScaler(), LogisticRegression()))
    hashed = HashingVectorizer(n_features=64)
    keep("hashed.joblib", make_pipeline(hashed, SGDClassifier()).fit(reviews, opinions))
    keep("two.joblib", {"first": LogisticRegression(), "second": LogisticRegression()})
    keep("data.joblib", customers)
    pairs = CountVectorizer(stop_words="english", ngram_range=(1, 2))
    keep("words.joblib", make_pipeline(pairs, MultinomialNB()).fit(reviews, opinions))
    category = customers[["city", "visits"]].astype({"city": "category"})
    keep("categories.joblib", lightgbm.LGBMRegressor(verbose=-1).fit(category, spent))
    keep("booster.joblib", lightgbm.LGBMRegressor(verbose=-1).fit(two, bought).booster_)
    few = catboost.CatBoostRegressor(iterations=5, verbose=0, allow_writing_files=False)
    keep("catboost.joblib", make_pipeline(StandardScaler(), few).fit(two, bought))


boosters()
matrices()
frames()
tables()
texts()
dictionaries()
refused()
