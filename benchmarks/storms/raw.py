"""Connections of a hostile client, which sends bytes as they are and need not read."""

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

READ_BYTES = 65_536
# Between two attempts of a connection that the gate has closed or refused.
AGAIN_SECONDS = 0.05


class Raw:
    """One connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bytes_per_second: float | None
    ) -> None:
        self._reader, self._writer = reader, writer
        self._bytes_per_second = bytes_per_second

    async def send(self, data: bytes) -> None:
        """Send all of it, as fast as the gate reads."""
        self._writer.write(data)
        await self._writer.drain()

    async def pour(self, piece: bytes, pause_seconds: float = 0.0) -> None:
        """Send a piece over and over, at the rate of the attack, until the gate closes."""
        started, sent = time.monotonic(), 0
        while not self._reader.at_eof():
            await self.send(piece)
            sent += len(piece)
            ahead = sent / self._bytes_per_second if self._bytes_per_second else 0.0
            await asyncio.sleep(max(pause_seconds, started + ahead - time.monotonic()))

    async def stay(self) -> None:
        """Read nothing and send nothing until the attack is over, whatever the gate does."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket has it
        await asyncio.Event().wait()

    async def read_some(self) -> None:
        """Read what there is of an answer."""
        await self._reader.read(READ_BYTES)

    def reset(self) -> None:
        """End the connection so that the gate gets an RST."""
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


async def flood(
    host: str,
    port: int,
    connections: int,
    act: Callable[[Raw], Awaitable[None]],
    bytes_per_second: float | None,
) -> None:
    """Keep so many connections acting until cancelled; one that ends is opened anew."""

    async def keep_acting() -> None:
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    await act(Raw(reader, writer, bytes_per_second))
                finally:
                    writer.transport.abort()
            await asyncio.sleep(AGAIN_SECONDS)

    await asyncio.gather(*(keep_acting() for _ in range(connections)))
