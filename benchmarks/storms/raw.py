"""Connections of a hostile client, which sends bytes as they are and need not read."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

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


async def flood(
    url: str, connections: int, act: Callable[[Raw], Awaitable[None]], bytes_per_second: float | None
) -> None:
    """Keep so many connections acting until cancelled; one that ends is opened anew."""

    async def keep_acting() -> None:
        while True:
            with suppress(OSError, NoAnswerError):
                raw = await Raw.open(url)
                raw.bytes_per_second = bytes_per_second
                try:
                    await act(raw)
                finally:
                    raw.abort()
            await asyncio.sleep(AGAIN_SECONDS)

    await asyncio.gather(*(keep_acting() for _ in range(connections)))
