"""A reader of a gate's stream, for tests; deadlines of its waits are only met by a test that hangs."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from app.models import Transaction
from app.runtime import Runtime

WAIT_SECONDS = 60.0
EVENTS = {"Accept": "text/event-stream"}
Line = dict[str, Any]


class Stream:
    """The answer of one `GET /stream`."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.texts = response.aiter_lines()
        self._pending: asyncio.Future[str] | None = None

    async def text(self) -> str:
        """The next line as it stands there; raises StopAsyncIteration at a proper end of the body."""
        async with asyncio.timeout(WAIT_SECONDS):
            return await anext(self.texts)

    async def line(self) -> Line:
        """The next line that is no heartbeat."""
        while not (text := await self.text()):
            pass
        document: Line = json.loads(text)
        return document

    async def take(self, count: int) -> list[Line]:
        """Read so many of the next lines."""
        return [await self.line() for _ in range(count)]

    async def event(self) -> dict[str, str]:
        """The fields of the next server-sent event that has data."""
        fields: dict[str, str] = {}
        while (text := await self.text()) or "data" not in fields:
            name, _, value = text.partition(": ")
            fields[name] = value
        return fields

    async def rest(self) -> list[Line]:
        """All lines up to the end of the body, which is a proper one."""
        async with asyncio.timeout(WAIT_SECONDS):
            return [json.loads(text) async for text in self.texts if text]


@asynccontextmanager
async def open_stream(
    url: str, headers: dict[str, str] | None = None, **parameters: object
) -> AsyncIterator[Stream]:
    """A stream of the gate at this address, from now on unless the parameters say otherwise."""
    async with (
        httpx.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=WAIT_SECONDS) as client,
        client.stream("GET", "/stream", params=named(parameters), headers=headers) as response,
    ):
        if response.status_code != httpx.codes.OK:
            await response.aread()
        yield Stream(response)


def named(parameters: dict[str, object]) -> dict[str, Any]:
    """Parameters of a call by their names; `from_` is `from`."""
    return {name.rstrip("_"): value for name, value in parameters.items()}


async def post(url: str, items: Iterable[dict[str, object]]) -> dict[str, Any]:
    """Post items as an array; the summary."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=WAIT_SECONDS) as client:
        answer = await client.post("/transactions", json=list(items))
    assert answer.status_code == httpx.codes.OK, answer.text
    summary: dict[str, Any] = answer.json()
    return summary


def items(
    prefix: str, count: int, source: str = "helius-a", payload: object = None
) -> list[dict[str, object]]:
    """Items `prefix-0`, `prefix-1`… of one source."""
    return [
        {"signature": f"{prefix}-{number}", "source": source, "payload": payload} for number in range(count)
    ]


def signatures(lines: Iterable[Line]) -> list[str]:
    """The signatures of lines."""
    return [line["signature"] for line in lines]


@asynccontextmanager
async def raw_stream(
    url: str, query: str = "", *lines: str, version: str = "1.1"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A stream whose answer is read as it comes from the connection, from behind the headers on."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=1 << 16)
    head = [f"GET /stream{query} HTTP/{version}", "Host: gate", *lines, "", ""]
    writer.write("\r\n".join(head).encode())
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            status = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in status, status
        yield reader, writer
    finally:
        writer.transport.abort()


async def submit(runtime: Runtime, prefix: str, count: int, payload: bytes = b"null") -> None:
    """Have `prefix-0`, `prefix-1`… accepted by a gate inside the test, in one flush."""
    named = [f"{prefix}-{number}" for number in range(count)]
    await runtime.plane.flush_queue.submit(
        [Transaction(signature=name, source="a", payload=msgspec.Raw(payload)) for name in named]
    )
