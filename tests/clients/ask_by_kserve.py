"""Asks a server by KServe's own client, in both of its protocols.

    pip install -r tests/clients/requirements.txt
    python3 tests/clients/ask_by_kserve.py localhost:3000 identity-float32
"""
import asyncio
import sys

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

address, model = sys.argv[1:]
url = f"http://{address}"
rows = [[0.5, -1.25], [3.0, 1e-20]]


async def main():
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        assert await client.is_server_live(url)
        assert await client.is_model_ready(url, model)
        reply = await client.infer(url, {"instances": rows}, model_name=model)
        assert np.allclose(reply["predictions"], rows), reply
        for refused, status in [
            (lambda: client.infer(url, {"instances": [[1, 2, 3]]}, model_name=model), 400),
            (lambda: client.infer(url, {"instances": rows}, model_name="no-such-model"), 404),
            (lambda: client.explain(url, model, {"instances": rows}), 404),
        ]:
            await fails(refused, status)

    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_server_live(url) and await client.is_server_ready(url)
        assert await client.is_model_ready(url, model)
        assert not await client.is_model_ready(url, "no-such-model")
        # The name that KServe's and MLServer's documents use stands for the one input.
        for name in ("x", "input-0"):
            for binary in (False, True):
                tensor = InferInput(name=name, shape=[2, 2], datatype="FP32")
                tensor.set_data_from_numpy(np.array(rows, dtype=np.float32), binary_data=binary)
                request = InferRequest(model_name=model, infer_inputs=[tensor], request_id="42")
                reply = await client.infer(url, request, model_name=model)
                assert reply.id == "42" and reply.model_name == model
                assert np.allclose(reply.outputs[0].as_numpy(), rows), (name, binary)
        wide = InferInput(name="x", shape=[2, 2], datatype="FP64", data=[0.5, -1.25, 3.0, 1e-20])
        reply = await client.infer(url, InferRequest(model_name=model, infer_inputs=[wide]), model_name=model)
        assert np.allclose(reply.outputs[0].as_numpy(), rows)
        short = InferInput(name="x", shape=[2, 2], datatype="FP32", data=[1.0])
        request = InferRequest(model_name=model, infer_inputs=[short])
        await fails(lambda: client.infer(url, request, model_name=model), 400)


async def fails(ask, status):
    try:
        await ask()
    except httpx.HTTPStatusError as error:
        assert error.response.status_code == status, error
    else:
        raise AssertionError("no exception")


asyncio.run(main())
print("all is well")
