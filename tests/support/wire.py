"""HTTP/1.1 by hand: fast enough for thousands of posts, and able to break off wherever a test wants it to."""

import asyncio
import json
import re
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

PATIENCE_SECONDS = 60.0
NDJSON = "application/x-ndjson"
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class NoAnswerError(Exception):
    """The connection ended before an answer was there, or there was no connection at all."""


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def assert_try_again(self) -> dict[str, Any]:
        """Assert that this is a 503 problem document that says when to come back; returns the document."""
        assert self.status == 503, self
        assert self.headers["content-type"] == "application/problem+json"
        assert int(self.headers["retry-after"]) >= 1
        document: dict[str, Any] = self.json()
        assert document["status"] == 503
        assert document["detail"]
        return document


def request_bytes(
    method: str, path: str, body: bytes = b"", media: str = "application/json", length: int | None = None
) -> bytes:
    """A whole request, or the start of one whose body is `length` bytes."""
    size = len(body) if length is None else length
    lines = f"{method} {path} HTTP/1.1", "Host: gate", f"Content-Type: {media}", f"Content-Length: {size}"
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to the gate at `url`."""
        place = urlsplit(url)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return cls(*await asyncio.open_connection(place.hostname, place.port))
        except OSError as error:
            raise NoAnswerError(str(error)) from None

    async def get(self, path: str) -> Reply:
        return await self.ask(request_bytes("GET", path))

    async def post(
        self, document: object, path: str = "/transactions", media: str = "application/json"
    ) -> Reply:
        """POST bytes as they are, anything else as JSON."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return await self.ask(request_bytes("POST", path, body, media))

    async def ask(self, request: bytes) -> Reply:
        """Send a request and read its answer."""
        await self.send(request)
        return await self.answer()

    async def send(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._writer.drain()
        except ConnectionError as error:
            raise NoAnswerError(str(error)) from None

    async def answer(self) -> Reply:
        """Read the next answer; part of one is none."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._read()
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            raise NoAnswerError(str(error)) from None

    async def answer_begins(self) -> None:
        """Wait until the next answer has begun to come in; its first byte is taken."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._reader.readexactly(1)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            raise NoAnswerError(str(error)) from None

    async def is_closed_by_peer(self) -> bool:
        """Whether the gate ends the connection, by and by, without another byte."""
        with suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._reader.read(1) == b""
        return True

    @property
    def has_ended(self) -> bool:
        """Whether the gate has ended the connection, as it does with one that is idle for long."""
        return self._reader.at_eof()

    def end(self) -> None:
        """Say that no more will be sent; answers are read on."""
        self._writer.write_eof()

    def reset(self) -> None:
        """End the connection by a RST; whatever was not read or sent yet is dropped."""
        raw: socket.socket = self._writer.get_extra_info("socket")
        with suppress(OSError):  # it has ended already
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def begin_close(self) -> None:
        """Begin to close the connection, also if nobody waits for the end of that."""
        self._writer.close()

    async def close(self) -> None:
        self.begin_close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _read(self) -> Reply:
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = _STATUS.match(head)
        assert status, head
        lines = (line.partition(b":") for line in head.split(b"\r\n")[1:-2])
        headers = {name.decode().lower(): value.strip().decode() for name, _, value in lines}
        if "content-length" in headers:
            body = await self._reader.readexactly(int(headers["content-length"]))
        else:
            body = await self._reader.read()
        return Reply(int(status[1]), headers, body)


@asynccontextmanager
async def connected(url: str, count: int) -> AsyncIterator[list[Connection]]:
    """Open `count` connections to one gate, until the block ends."""
    connections: list[Connection] = []
    try:
        while len(connections) < count:
            connections += [await Connection.open(url)]
        yield connections
    finally:
        await close_all(connections)


async def close_all(some: Iterable[Connection]) -> None:
    """Close connections; a deadline that passes just now would cancel tasks that have closed none yet."""
    connections = list(some)
    for connection in connections:
        connection.begin_close()
    await asyncio.gather(*(connection.close() for connection in connections))


async def ask_once(url: str, method: str, path: str, document: object = None) -> Reply:
    """One request on a connection of its own."""
    body = b"" if document is None else json.dumps(document).encode()
    async with connected(url, 1) as [connection]:
        return await connection.ask(request_bytes(method, path, body))


async def figure(url: str, name: str, **labels: str) -> float:
    """The value of one series of `/metrics`; fails if it is not there."""
    reply = await ask_once(url, "GET", "/metrics")
    for line in reply.body.decode().splitlines():
        series, _, value = line.rpartition(" ")
        family, _, rest = series.partition("{")
        if family == name and all(f'{key}="{text}"' in rest for key, text in labels.items()):
            return float(value)
    raise AssertionError(f"no series {name} {labels}")
