"""Makes room for a new connection when there are as many as there may be: those idle longest are closed.

Otherwise 2,048 clients that ask once and then stay would keep out probes and feeds, for one request a minute
each. nginx closes its idle connections likewise ("worker_connections are not enough, reusing connections").
"""

from heapq import nlargest
from math import inf
from typing import Protocol, TypeVar

IDLE_SECONDS = 1.0
"""A request may be on its way on a connection that has just been opened or answered."""
PARTS = 64
"""One of so many connections is closed at a time, as a look at all takes half a millisecond."""
PAUSE_SECONDS = 0.25
"""After a look that found none that was idle; whoever comes meanwhile is refused."""


class Closeable(Protocol):
    """A connection as it is seen here."""

    @property
    def idle_seconds(self) -> float:
        """Seconds since a request was under way or coming in; 0 while one is."""

    def shutdown(self) -> None:
        """Close the connection."""


_Connection = TypeVar("_Connection", bound=Closeable)


class RoomForNew:
    """Closes idle connections of one server, a few at a time."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._looks_again_at = -inf

    def make(self, connections: set[_Connection], now: float) -> bool:
        """Close some that are idle, and count them no more; False if there are none."""
        if now < self._looks_again_at:
            return False
        longest = nlargest(
            max(1, len(connections) // PARTS), connections, key=lambda connection: connection.idle_seconds
        )
        idle = [each for each in longest if each.idle_seconds >= self._idle_seconds]
        for connection in idle:
            connections.discard(connection)
            connection.shutdown()
        if not idle:
            self._looks_again_at = now + PAUSE_SECONDS
        return bool(idle)
