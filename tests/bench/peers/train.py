"""Trains the peers' classifier: train.py iris.joblib"""

import sys

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

iris = load_iris()
model = LogisticRegression(max_iter=1000)
model.fit(iris.data, iris.target_names[iris.target])
joblib.dump(model, sys.argv[1])
