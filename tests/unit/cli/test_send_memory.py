"""`tidegate send` holds a batch or two, however much it reads."""

import io
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, cast

import httpx

from app.cli.client import GateAddress
from app.cli.send.command import MIB, _send_all
from app.cli.send.line_batches import LineCounts
from app.cli.send.sender import Sender

LINE = b'{"signature":"a","payload":"%s"}\n' % (b"x" * 5000)
LINE_BYTES = len(LINE)


class Generated(io.RawIOBase):
    """A stream of lines that are made as they are read, so that only what `send` keeps takes memory."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.left = count * LINE_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = (LINE * (len(buffer) // LINE_BYTES))[: self.left]
        buffer[: len(part)] = part
        self.left -= len(part)
        return len(part)


def test_50_mb_are_sent_in_the_memory_of_two_batches() -> None:
    received: list[int] = []

    def take(request: httpx.Request) -> httpx.Response:
        received.extend(len(piece) for piece in cast("Iterable[bytes]", request.stream))
        return httpx.Response(200, json={"accepted": 0, "duplicate": 0, "invalid": 0, "errors": []})

    gate = GateAddress("http://gate", None)
    client = httpx.Client(transport=_Taking(take), base_url=gate.url)
    stream = cast("BinaryIO", io.BufferedReader(Generated(10_000), 64 * 1024))
    tracemalloc.start()
    try:
        _send_all(Sender(client, gate, False, 0), stream, (2000, MIB), {}, LineCounts())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(received) == 10_000 * LINE_BYTES > 50_000_000
    assert max(received) <= 64 * 1024, "httpcore copies large pieces over and over"
    assert peak < 4 * MIB


class _Taking(httpx.BaseTransport):
    """Hands a request over with its body still to be read, which httpx's own mock reads at once."""

    def __init__(self, take: Callable[[httpx.Request], httpx.Response]) -> None:
        self._take = take

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._take(request)
