"""Asks a server by the usual HTTP clients of Python: requests, httpx and aiohttp.

    pip install -r tests/clients/requirements.txt
    python3 tests/clients/ask_by_http.py localhost:3000 identity-float32
"""
import asyncio
import gzip
import json
import sys

import aiohttp
import httpx
import requests

address, model = sys.argv[1:]
url = f"http://{address}/predict/{model}"
rows = [[0.5, -1.25], [3.0, None]]
body = json.dumps({"instances": rows}).encode()
expected = {"predictions": rows}
too_large = b" " * (11 << 20)


def pieces():
    """A body of unknown length."""
    yield body[:5]
    yield body[5:]


async def pieces_at_once():
    for piece in pieces():
        yield piece


zipped = {"content": gzip.compress(body), "headers": {"Content-Encoding": "gzip"}}


def check(status, answer):
    assert (status, answer) == (200, expected), (status, answer)


def check_error(status, answer, wanted, word):
    assert status == wanted and word in answer["error"], (status, answer)


def ask_by_requests():
    with requests.Session() as session:
        for given in (
            {"json": {"instances": rows}},
            {"data": body},
            {"data": pieces()},
            {"data": zipped["content"], "headers": zipped["headers"]},
            {"data": b'{"instances": [[0.5, -1.25], [3.0, NaN]]}'},
        ):
            reply = session.post(url, **given)
            check(reply.status_code, reply.json())
        for given, status, word in (
            ({"data": b"{"}, 400, "JSON"),
            ({"data": too_large}, 413, "BODY_LIMIT"),
            ({"data": body, "headers": {"Content-Encoding": "gzip"}}, 400, ""),
        ):
            reply = session.post(url, **given)
            check_error(reply.status_code, reply.json(), status, word)


def ask_by_httpx():
    with httpx.Client() as client:
        for given in ({"json": {"instances": rows}}, {"content": body}, {"content": pieces()}, zipped):
            reply = client.post(url, **given)
            check(reply.status_code, reply.json())
        for given, status, word in (({"content": b"{"}, 400, "JSON"), ({"content": too_large}, 413, "BODY_LIMIT")):
            reply = client.post(url, **given)
            check_error(reply.status_code, reply.json(), status, word)


async def ask_by_httpx_at_once():
    async with httpx.AsyncClient() as client:
        replies = await asyncio.gather(*(client.post(url, content=body) for _ in range(20)))
        for reply in replies:
            check(reply.status_code, reply.json())
        reply = await client.post(url, content=pieces_at_once())
        check(reply.status_code, reply.json())


async def ask_by_aiohttp():
    async with aiohttp.ClientSession() as session:

        async def post(**given):
            async with session.post(url, **given) as reply:
                return reply.status, await reply.json()

        for answer in await asyncio.gather(*(post(json={"instances": rows}) for _ in range(20))):
            check(*answer)
        # Python's own json writes the literal NaN.
        check(*await post(json={"instances": [[0.5, -1.25], [3.0, float("nan")]]}))
        check(*await post(json={"instances": rows}, compress="deflate"))
        check(*await post(data=pieces_at_once()))
        check(*await post(data=body, expect100=True))
        check_error(*await post(data=b"{"), 400, "JSON")
        check_error(*await post(data=too_large), 413, "BODY_LIMIT")


ask_by_requests()
ask_by_httpx()
asyncio.run(ask_by_httpx_at_once())
asyncio.run(ask_by_aiohttp())
print("all is well")
