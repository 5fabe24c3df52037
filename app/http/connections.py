"""The open connections of clients: how many, and dropping those that do nothing."""

from collections.abc import Collection

from app.http.protocol import BoundedProtocol


class ClientConnections:
    """A view of the server's own set of connections."""

    def __init__(self, connections: Collection[BoundedProtocol]) -> None:
        self._connections = connections

    def __len__(self) -> int:
        return len(self._connections)

    def drop_idle(self) -> None:
        """Close those between two requests; their clients connect again."""
        for connection in list(self._connections):
            connection.drop_if_idle()
