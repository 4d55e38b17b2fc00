"""Asks a server with Triton's own client, by bytes and by JSON, and compares the answers.

    pip install -r tests/clients/requirements.txt
    python3 tests/clients/ask_by_triton.py localhost:3000 model
"""
import sys

import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

address, model = sys.argv[1:]
client = http.InferenceServerClient(address, concurrency=4)
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(model)
assert not client.is_model_ready("no-such-model")
assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
metadata = client.get_model_metadata(model)
names = [output["name"] for output in metadata["outputs"]]


def array(shape, datatype):
    """Three rows of small values of a type."""
    shape = [length if length > 0 else 3 for length in shape]
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    if datatype == "BYTES":
        return np.array([f"é中 {value}" for value in values.flat], dtype=object).reshape(shape)
    return (values % 2).astype(triton_to_np_dtype(datatype))


def given(binary):
    inputs = []
    for tensor in metadata["inputs"]:
        values = array(tensor["shape"], tensor["datatype"])
        inputs.append(http.InferInput(tensor["name"], values.shape, tensor["datatype"]))
        inputs[-1].set_data_from_numpy(values, binary_data=binary)
    return inputs


def wanted(binary):
    return [http.InferRequestedOutput(name, binary_data=binary) for name in names]


def answers(result):
    """JSON gives BYTES as text, bytes do not."""
    arrays = [result.as_numpy(name) for name in names]
    texts = [[v.decode() if isinstance(v, bytes) else v for v in values.flat] for values in arrays]
    return [(values.shape, text) for values, text in zip(arrays, texts)]


expected = answers(client.infer(model, given(True)))
for shape, _ in expected:
    assert 0 not in shape
if model.startswith("identity"):
    values = array(metadata["inputs"][0]["shape"], metadata["inputs"][0]["datatype"])
    assert expected == [(values.shape, list(values.flat))], expected
for binary_in in (True, False):
    for binary_out in (True, False):
        result = client.infer(model, given(binary_in), outputs=wanted(binary_out), request_id="42")
        assert answers(result) == expected, (binary_in, binary_out)
        assert result.get_response()["id"] == "42"
        assert all(("data" in output) != binary_out for output in result.get_response()["outputs"])
    for algorithm in ("gzip", "deflate"):
        result = client.infer(
            model, given(binary_in), request_compression_algorithm=algorithm,
            response_compression_algorithm=algorithm)
        assert answers(result) == expected, algorithm
waiting = [client.async_infer(model, given(True), model_version="1") for _ in range(8)]
assert all(answers(request.get_result()) == expected for request in waiting)

for refused, status in [
    (lambda: client.infer(model, given(True)[:-1]), "400"),
    (lambda: client.infer(model, given(True), outputs=[http.InferRequestedOutput("none")]), "400"),
    (lambda: client.infer(model, given(True), model_version="99"), "404"),
    (lambda: client.infer("no-such-model", given(True)), "404"),
]:
    try:
        refused()
    except InferenceServerException as error:
        assert error.status() == status, error
    else:
        raise AssertionError("no exception")
client.close()
print("all is well")
