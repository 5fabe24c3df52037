"""What a hostile client sends: each attack opens its connections, sends for some seconds, and leaves.

None of them has a token. An attack runs in a process of its own, so that what it costs the sender does not
delay the ordinary client that is measured beside it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from tests.support.hostile import BODIES, JSON, MIB, NDJSON, Hostile
from tests.support.wire import Connection, NoAnswerError

READ_BYTES = 65_536
# Between two attempts of a connection that the gate has closed or refused.
AGAIN_SECONDS = 0.05


class Raw(Connection):
    """One connection that sends at the rate of the attack."""

    bytes_per_second: float | None = None

    async def pour(self, piece: bytes, pause_seconds: float = 0.0) -> None:
        """Send a piece over and over, at the rate of the attack, until the gate closes."""
        started, sent = time.monotonic(), 0
        while not self._reader.at_eof():
            await self.send(piece)
            sent += len(piece)
            ahead = sent / self.bytes_per_second if self.bytes_per_second else 0.0
            await asyncio.sleep(max(pause_seconds, started + ahead - time.monotonic()))

    async def stay(self) -> None:
        """Read nothing and send nothing until the attack is over, whatever the gate does."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket has it
        await asyncio.Event().wait()

    async def read_some(self) -> None:
        """Read what there is of an answer."""
        await self._reader.read(READ_BYTES)

    def abort(self) -> None:
        """End the connection at once, whatever was not sent yet."""
        self._writer.transport.abort()


Act = Callable[[Raw], Awaitable[None]]


@dataclass(frozen=True)
class Attack:
    """Connections that each act over and over until the time is over."""

    name: str
    connections: int
    act: Act
    bytes_per_second: float | None = None
    """The rate of one connection; None sends as fast as the gate reads."""


def head(method: str, path: str, *lines: str) -> bytes:
    """A request line with `Host` and further header lines, whole."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: gate", *lines, "", ""]).encode()


def posting(hostile: Hostile) -> Act:
    """Posts a hostile body over and over, and reads what there is of an answer."""

    @cache
    def request() -> bytes:
        body = hostile.make()
        coding = [f"Content-Encoding: {hostile.coding}"] if hostile.coding else []
        lines = f"Content-Type: {hostile.media}", f"Content-Length: {len(body)}", *coding
        return head(hostile.method, hostile.path, *lines) + body

    async def act(raw: Raw) -> None:
        await raw.send(request())
        await raw.read_some()

    return act


async def unfinished_heads(raw: Raw) -> None:
    """3,900 header lines of one letter each, and no end of the head."""
    await raw.send(b"GET /livez HTTP/1.1\r\nHost: gate\r\n" + b"a:\r\n" * 3900)
    await raw.read_some()


async def pipelined_heads(raw: Raw) -> None:
    """Requests with 90 header lines each, one behind another, whose answers nobody reads."""
    await raw.send(head("GET", "/stats", *(f"x-{number}: {'v' * 100}" for number in range(90))) * 200)
    await raw.stay()


async def one_byte_chunks(raw: Raw) -> None:
    """A chunked body of single bytes, at the rate of the attack."""
    await raw.send(
        head("POST", "/transactions", f"Content-Type: {JSON}", "Transfer-Encoding: chunked") + b"1\r\n[\r\n"
    )
    await raw.pour(b"1\r\n \r\n" * 1000)


async def body_after_its_answer(raw: Raw) -> None:
    """A body that goes on although its request was refused by its media type."""
    await raw.send(head("POST", "/transactions", "Content-Type: text/html", f"Content-Length: {1 << 40}"))
    await raw.pour(b"x" * 65_536)


async def unread_answers(raw: Raw) -> None:
    """Large answers that nobody reads."""
    await raw.send(head("GET", "/metrics") * 20)
    await raw.stay()


async def slow_uploads(raw: Raw) -> None:
    """A body for the control plane that never ends."""
    await raw.send(head("POST", "/cleanup", f"Content-Type: {JSON}", "Content-Length: 1000"))
    await raw.pour(b" ", pause_seconds=1)


async def comings_and_goings(raw: Raw) -> None:
    """A connection that asks and is reset before the answer."""
    await raw.send(head("GET", "/stats"))
    raw.reset()


def _wrong_items() -> bytes:
    """An array of seven megabytes, each item of which is wrong."""
    item = b'{"signature":"","payload":"%b"}' % (b"x" * 470)
    return b"[" + b",".join([item] * (7 * MIB // len(item))) + b"]"


ATTACKS = (
    Attack("unfinished heads, 1,950 connections", 1950, unfinished_heads),
    Attack("pipelined heads, 200 connections", 200, pipelined_heads),
    Attack("gzip of newlines, 4 connections", 4, posting(BODIES["newlines, 32 MiB, gzip"])),
    Attack("empty gzip members, 4 connections", 4, posting(BODIES["empty members as JSON, 8 MiB"])),
    Attack("plain newlines, 4 connections", 4, posting(Hostile(lambda: b"\n" * (8 * MIB), NDJSON))),
    Attack("alerts of empty arrays, 4 connections", 4, posting(BODIES["10 million empty arrays as alerts"])),
    Attack("one-byte chunks at 3 MB/s, 1 connection", 1, one_byte_chunks, 3e6),
    Attack("bodies after their answer, 8 connections", 8, body_after_its_answer),
    Attack("unread answers, 1,100 connections", 1100, unread_answers),
    Attack("large bodies, 16 connections", 16, posting(Hostile(_wrong_items))),
    Attack("slow uploads to the control plane, 200 connections", 200, slow_uploads),
    Attack("connections reset at once, 16 at a time", 16, comings_and_goings),
)


def run(name: str, url: str, seconds: float) -> None:
    """Attack for so long; for a process of its own."""
    [attack] = (one for one in ATTACKS if one.name == name)

    async def keep_acting() -> None:
        """Act over one connection, and over a new one when it ends."""
        while True:
            with suppress(OSError, NoAnswerError):
                raw = await Raw.open(url)
                raw.bytes_per_second = attack.bytes_per_second
                try:
                    await attack.act(raw)
                finally:
                    raw.abort()
            await asyncio.sleep(AGAIN_SECONDS)

    async def attacked() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(keep_acting() for _ in range(attack.connections)))

    asyncio.run(attacked())
