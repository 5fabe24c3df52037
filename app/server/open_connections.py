"""The connections of clients that are open, and the closing of idle ones when memory is near its limit."""

import asyncio
from collections.abc import Collection
from contextlib import suppress

from app.server.protocol import BoundedProtocol
from app.server.room_for_new import IDLE_SECONDS

# For the event loop to close what is dropped: some rounds, of a busy machine too.
CLOSE_SECONDS, CLOSE_POLL_SECONDS = 3.0, 0.02


class OpenConnections:
    """The open connections of clients, in the server's own set of them; without a server there are none."""

    def __init__(self) -> None:
        self._connections: Collection[asyncio.Protocol] = ()
        self.limit: int | None = None
        """How many there may be at once; None without a server."""

    def __len__(self) -> int:
        return len(self._connections)

    def follow(self, connections: Collection[asyncio.Protocol], limit: int) -> None:
        """Look at this set of a server from now on, which holds `limit` connections at most."""
        self._connections, self.limit = connections, limit

    async def drop_idle(self, seconds: float = IDLE_SECONDS) -> None:
        """Close the connections that are between two requests for so long; their clients connect again.

        On return they are closed and what they held is free, unless that takes more than three seconds.
        """
        idle = [
            one
            for one in self._connections
            if isinstance(one, BoundedProtocol) and one.idle_seconds >= seconds
        ]
        for connection in idle:
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while any(one in self._connections for one in idle):  # noqa: ASYNC110  the set tells nobody
                    await asyncio.sleep(CLOSE_POLL_SECONDS)
