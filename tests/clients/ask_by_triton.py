"""Asks a server with Triton's own client, by bytes and by JSON, and compares the answers.

    pip install -r tests/clients/requirements.txt
    python3 tests/clients/ask_by_triton.py localhost:3000 model
"""
import asyncio
import sys

import numpy as np
import tritonclient.http as http
import tritonclient.http.aio as aio
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


def extremes(datatype):
    """Two rows of the values that a type ends with."""
    if datatype == "BYTES":
        return np.array([["", "NaN, 1e400 \uffff"], ['"\\', "{}"]], dtype=object)
    if datatype == "BOOL":
        return np.array([[True, False], [False, True]])
    dtype = np.dtype(triton_to_np_dtype(datatype))
    if dtype.kind == "f":
        values = [[np.nan, np.inf], [-np.inf, np.finfo(dtype).max], [np.finfo(dtype).tiny, -0.1]]
    else:
        values = [[np.iinfo(dtype).min, np.iinfo(dtype).max], [np.iinfo(dtype).max - 1, 1]]
    return np.array(values, dtype=dtype)


def given(binary, module=http, values_of=lambda tensor: array(tensor["shape"], tensor["datatype"])):
    inputs = []
    for tensor in metadata["inputs"]:
        values = values_of(tensor)
        inputs.append(module.InferInput(tensor["name"], values.shape, tensor["datatype"]))
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
    values = extremes(metadata["inputs"][0]["datatype"])
    for binary_in in (True, False):
        for binary_out in (True, False):
            result = client.infer(
                model, given(binary_in, values_of=lambda _: values), outputs=wanted(binary_out))
            # Only floats have a NaN to compare.
            (_, got), = answers(result)
            np.testing.assert_array_equal(np.array(got, dtype=values.dtype), values.ravel())
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
    (lambda: client.get_model_metadata("no-such-model"), "404"),
    (lambda: client.get_inference_statistics(model), "404"),
    (lambda: client.get_model_repository_index(), "404"),
]:
    try:
        refused()
    except InferenceServerException as error:
        assert error.status() == status, error
    else:
        raise AssertionError("no exception")
client.close()


async def ask_at_once():
    async with aio.InferenceServerClient(address) as client:
        assert await client.is_server_live() and await client.is_model_ready(model)
        assert (await client.get_model_metadata(model)) == metadata
        for binary in (True, False):
            results = await asyncio.gather(*(
                client.infer(
                    model, given(binary, aio), outputs=wanted(binary),
                    request_compression_algorithm=algorithm, response_compression_algorithm=algorithm)
                for algorithm in (None, "gzip", "deflate", None)))
            assert all(answers(result) == expected for result in results), binary
        try:
            await client.infer(model, given(True, aio)[:-1])
        except InferenceServerException as error:
            assert error.status() == "400", error
        else:
            raise AssertionError("no exception")


asyncio.run(ask_at_once())
print("all is well")
