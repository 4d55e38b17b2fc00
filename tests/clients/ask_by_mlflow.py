"""Asks a server by MLflow's own client, as mlflow.pyfunc's scoring servers are asked.

    pip install -r tests/clients/requirements.txt
    python3 tests/clients/ask_by_mlflow.py localhost:3000
"""
import json
import sys

import numpy as np
import pandas as pd
from mlflow.models import convert_input_example_to_serving_input
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

host, port = sys.argv[1].split(":")
# It asks /invocations, which is the first model's.
client = ScoringServerClient(host, int(port))
client.ping()
client.wait_server_ready()

rows = [[5.1, 3.5, 1.4, 0.2], [6.3, 2.9, 5.6, 1.8]]
names = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
frame = pd.DataFrame(rows, columns=names)
expected = client.invoke(frame).get_predictions()
assert expected.shape[0] == 2, expected
# Whatever the order of its columns, whole numbers beside others.
assert client.invoke(frame[names[::-1]]).get_predictions().equals(expected)
assert client.invoke(frame.round().astype(int)).get_predictions().shape[0] == 2
for given in (
    {"dataframe_records": frame.to_dict(orient="records")},
    {"dataframe_split": frame.to_dict(orient="split")},
    {"inputs": {name: frame[[name]].values.tolist() for name in names}},
    {"instances": frame.to_dict(orient="records")},
):
    # A text is sent as it is; a dict MLflow 3.17 cannot send.
    answer = client.invoke(json.dumps(given)).get_predictions()
    assert answer.shape[0] == 2, (given, answer)
assert client.invoke(frame, params={"any": 1}).get_predictions().equals(expected)

# Missing numbers are sent as the literal NaN.
missing = frame.copy()
missing.loc[1, "petal_width"] = np.nan
answer = client.invoke(missing).get_predictions()
assert answer.iloc[0].equals(expected.iloc[0]), answer

# What mlflow.pyfunc keeps beside a model as its serving_input.
for example in (frame, missing, (frame, {"any": 1}), {name: frame[[name]].to_numpy() for name in names}):
    answer = client.invoke(convert_input_example_to_serving_input(example)).get_predictions()
    assert answer.iloc[0, 0] == expected.iloc[0, 0], (example, answer)

try:
    client.invoke(frame.drop(columns=names[0]))
except Exception as error:
    assert "error code 400" in str(error) and names[0] in str(error), error
else:
    raise AssertionError("no exception")
print("all is well")
