"""The open connections of clients: how many, and dropping those that do nothing."""

import asyncio
from collections.abc import Collection

from app.server.protocol import BoundedProtocol

# A request may be on its way on one that has just been opened or answered.
IDLE_SECONDS = 1.0


class ClientConnections:
    """A view of the server's own set of connections; without a server there are none."""

    def __init__(self) -> None:
        self._connections: Collection[asyncio.Protocol] = ()

    def __len__(self) -> int:
        return len(self._connections)

    def follow(self, connections: Collection[asyncio.Protocol]) -> None:
        """Look at this set from now on."""
        self._connections = connections

    def drop_idle(self, seconds: float = IDLE_SECONDS) -> None:
        """Close those between two requests for so long; their clients connect again."""
        for connection in list(self._connections):
            if isinstance(connection, BoundedProtocol):
                connection.drop_if_idle(seconds)
