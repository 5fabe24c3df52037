"""Requests to the gate and what its answers must look like, for all tests of this folder."""

import json
import zlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx
import msgspec

JSON, NDJSON = "application/json", "application/x-ndjson"
KIB, MIB = 1024, 1024 * 1024
DEEP = 1_000_000

GOOD = (b'{"signature":"before"}', b'{"signature":"after"}')


class Stored(msgspec.Struct):
    """What a lookup answers, the payload with its bytes."""

    signature: str
    source: str
    slot: int | None
    payload: msgspec.Raw = msgspec.Raw()


def item(signature: object = "s", **fields: object) -> bytes:
    return json.dumps({"signature": signature, **fields}).encode()


def with_payload(payload: bytes, signature: str = "s") -> bytes:
    return b'{"signature":"%b","payload":%b}' % (signature.encode(), payload)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def array(items: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(items) + b"]"


def among_good(bad: bytes) -> list[bytes]:
    return [GOOD[0], bad, GOOD[1]]


async def chunks(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def post(
    client: httpx.AsyncClient,
    body: bytes | list[bytes],
    media: str = JSON,
    params: dict[str, str] | None = None,
    **headers: str,
) -> httpx.Response:
    """POST a body, or pieces of one without a Content-Length; `X_Source="a"` is a header."""
    content = body if isinstance(body, bytes) else chunks(body)
    named = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}
    named[b"Content-Type"] = media.encode()
    return await client.post("/transactions", content=content, params=params, headers=named)


async def post_gzip(client: httpx.AsyncClient, body: bytes, media: str = JSON) -> httpx.Response:
    """Post a body that is gzip already."""
    return await post(client, body, media, Content_Encoding="gzip")


def problem(response: httpx.Response, status: int, *mentions: str) -> dict[str, Any]:
    """The problem document of an answer, checked to be one and to mention what it should."""
    assert response.status_code == status, response.text[:500]
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail"} <= document.keys()
    assert document["status"] == status
    for mention in mentions:
        assert mention in document["detail"], document["detail"]
    return document


def client_problem(response: httpx.Response, *mentions: str) -> dict[str, Any]:
    """Return the problem document of a response with any status from 400 to 499."""
    assert 400 <= response.status_code < 500, response.text[:500]
    return problem(response, response.status_code, *mentions)


def accepted(response: httpx.Response) -> None:
    assert response.status_code == 200, response.text[:500]
    assert response.json()["status"] == "accepted"


def summary(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text[:500]
    document: dict[str, Any] = response.json()
    return document


def counts(response: httpx.Response) -> tuple[int, int, int]:
    """Accepted, duplicate, invalid."""
    document = summary(response)
    return document["accepted"], document["duplicate"], document["invalid"]


def only_middle_is_invalid(response: httpx.Response) -> str:
    """Assert that of three items only the one in the middle is refused; returns what is wrong with it."""
    assert counts(response) == (2, 0, 1)
    [error] = response.json()["errors"]
    assert error["index"] == 1
    return str(error["detail"])


async def lookup(client: httpx.AsyncClient, signature: str) -> Stored:
    response = await client.get(f"/transactions/{signature}")
    assert response.status_code == 200, response.text[:500]
    # A payload may hold lone surrogates, which no decoder takes.
    head, _, rest = response.content.partition(b',"payload":')
    payload, _, _ = rest.rpartition(b',"observations":')
    found = msgspec.json.decode(head + b"}", type=Stored)
    found.payload = msgspec.Raw(payload)
    return found


async def is_stored(client: httpx.AsyncClient, signature: str) -> bool:
    response = await client.get(f"/transactions/{signature}")
    assert response.status_code in (200, 404), response.text[:500]
    return response.status_code == 200


def zeros_gzip(mebibytes: int) -> bytes:
    """One gzip member that inflates to so many MiB of zeros, made without compressing them all."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = deflater.compress(bytes(MIB)) + deflater.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + first * mebibytes
