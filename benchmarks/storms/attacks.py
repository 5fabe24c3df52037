"""What a hostile client sends: each attack opens its connections, sends for some seconds, and leaves.

None of them has a token. An attack runs in a process of its own, so that what it costs the sender does not
delay the ordinary client that is measured beside it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from benchmarks.common.readers import head
from tests.support.hostile import BODIES, JSON, MIB, NDJSON, Hostile
from tests.support.wire import Connection, NoAnswerError

READ_BYTES = 65_536
# Between two attempts of a connection that the gate has closed or refused.
AGAIN_SECONDS = 0.05


class Raw(Connection):
    """One connection of an attack, and what it does once its first bytes are sent."""

    async def read_some(self) -> None:
        """Read what there is of an answer."""
        await self._reader.read(READ_BYTES)

    async def stay(self) -> None:
        """Read nothing and send nothing until the attack is over, whatever the gate does."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket has it
        await asyncio.Event().wait()

    async def leave(self) -> None:
        """Reset the connection before the answer."""
        self.reset()

    async def pour(self, piece: bytes, bytes_per_second: float) -> None:
        """Send a piece over and over until the gate closes."""
        started, sent = time.monotonic(), 0
        while not self._reader.at_eof():
            await self.send(piece)
            sent += len(piece)
            await asyncio.sleep(max(0.0, started + sent / bytes_per_second - time.monotonic()))

    def abort(self) -> None:
        """End the connection at once, whatever was not sent yet."""
        self._writer.transport.abort()


def poured(piece: bytes, bytes_per_second: float = float("inf")) -> Callable[[Raw], Awaitable[None]]:
    """Pours a piece, as fast as the gate reads or at a rate."""
    return lambda raw: raw.pour(piece, bytes_per_second)


def request(hostile: Hostile) -> bytes:
    """A request with a hostile body."""
    body, coding = hostile.make(), [f"Content-Encoding: {hostile.coding}"] if hostile.coding else []
    lines = f"Content-Type: {hostile.media}", f"Content-Length: {len(body)}", *coding
    return head(hostile.method, hostile.path, *lines) + body


@dataclass(frozen=True)
class Attack:
    """Connections that each send something and act then, over and over until the time is over."""

    connections: int
    sent: bytes | Hostile
    act: Callable[[Raw], Awaitable[None]] = Raw.read_some


def run(name: str, url: str, seconds: float) -> None:
    """Attack for so long; for a process of its own."""
    attack = ATTACKS[name]
    sent = request(attack.sent) if isinstance(attack.sent, Hostile) else attack.sent

    async def keep_acting() -> None:
        """Act over one connection, and over a new one when it ends."""
        while True:
            with suppress(OSError, NoAnswerError):
                raw = await Raw.open(url)
                try:
                    await raw.send(sent)
                    await attack.act(raw)
                finally:
                    raw.abort()
            await asyncio.sleep(AGAIN_SECONDS)

    async def attacked() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(keep_acting() for _ in range(attack.connections)))

    asyncio.run(attacked())


def _wrong_items() -> bytes:
    """An array of seven megabytes, each item of which is wrong."""
    item = b'{"signature":"","payload":"%b"}' % (b"x" * 470)
    return b"[" + b",".join([item] * (7 * MIB // len(item))) + b"]"


# 3,900 header lines of one letter each, and no end of the head.
ENDLESS = b"GET /livez HTTP/1.1\r\nHost: gate\r\n" + b"a:\r\n" * 3900
# Requests with 90 header lines each, one behind another, whose answers nobody reads.
PIPELINED = head("GET", "/stats", *(f"x-{number}: {'v' * 100}" for number in range(90))) * 200
CHUNKED = head("POST", "/transactions", f"Content-Type: {JSON}", "Transfer-Encoding: chunked") + b"1\r\n[\r\n"
# A body that goes on although its request was refused by its media type.
REFUSED = head("POST", "/transactions", "Content-Type: text/html", f"Content-Length: {1 << 40}")
# A body for the control plane that never ends.
SLOW = head("POST", "/cleanup", f"Content-Type: {JSON}", "Content-Length: 1000")
# Thirty lines of an NDJSON body that never ends, and as a chunk once more.
LINES = b"".join(b'{"signature":"line-%d","payload":"%b"}\n' % (number, b"x" * 100) for number in range(30))
DRIPPED = b"%x\r\n%b\r\n" % (len(LINES), LINES)
# 20,000 lines that are no transactions, of three bytes each.
WRONG_LINES = Hostile(lambda: b"12\n" * 20_000, NDJSON)
LINE_BY_LINE = head("POST", "/transactions", f"Content-Type: {NDJSON}", "Transfer-Encoding: chunked")

ATTACKS = {
    "unfinished heads, 1,950 connections": Attack(1950, ENDLESS),
    "pipelined heads, 200 connections": Attack(200, PIPELINED, Raw.stay),
    "gzip of newlines, 4 connections": Attack(4, BODIES["newlines, 32 MiB, gzip"]),
    "empty gzip members, 4 connections": Attack(4, BODIES["empty members as JSON, 8 MiB"]),
    "plain newlines, 4 connections": Attack(4, Hostile(lambda: b"\n" * (8 * MIB), NDJSON)),
    "alerts of empty arrays, 4 connections": Attack(4, BODIES["10 million empty arrays as alerts"]),
    "one-byte chunks at 3 MB/s, 1 connection": Attack(1, CHUNKED, poured(b"1\r\n \r\n" * 1000, 3e6)),
    "bodies after their answer, 8 connections": Attack(8, REFUSED, poured(b"x" * 65_536)),
    "unread answers, 1,100 connections": Attack(1100, head("GET", "/metrics") * 20, Raw.stay),
    "large bodies, 16 connections": Attack(16, Hostile(_wrong_items)),
    "slow NDJSON, 1,500 connections": Attack(1500, LINE_BY_LINE, poured(DRIPPED, len(DRIPPED))),
    "invalid lines of 60 KB, 1,000 connections": Attack(1000, WRONG_LINES),
    "slow uploads to the control plane, 200 connections": Attack(200, SLOW, poured(b" ", 1.0)),
    "connections reset at once, 16 at a time": Attack(16, head("GET", "/stats"), Raw.leave),
}
