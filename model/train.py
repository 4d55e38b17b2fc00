"""Trains a classifier on the Iris measurements and saves it as model.onnx beside this file.

    pip install scikit-learn skl2onnx
    python3 train.py
"""
from pathlib import Path

from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

INPUTS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
OUTPUTS = {"output_label": "prediction", "output_probability": "probabilities"}

iris = load_iris()
classifier = make_pipeline(StandardScaler(), LogisticRegression())
classifier.fit(iris.data, iris.target_names[iris.target])

columns = [(name, FloatTensorType([None, 1])) for name in INPUTS]
model = convert_sklearn(classifier, "iris", columns, naming="iris_")

# skl2onnx names every classifier's outputs alike; these names are what a reply shows.
for node in model.graph.node:
    node.output[:] = [OUTPUTS.get(name, name) for name in node.output]
for output in model.graph.output:
    output.name = OUTPUTS[output.name]

Path(__file__).with_name("model.onnx").write_bytes(model.SerializeToString())
