"""How a connection ends so that its last answer is read.

Closing with bytes unread resets a connection, and a client that sends all of its body first loses the answer
that it has not read. So our side is ended alone, and what still comes is dropped for a while.
"""

import asyncio

from app.server.deadline import Deadline
from app.server.limits import Limits


class Lingering:
    """Drops what comes, up to a bound of bytes and one of time."""

    __slots__ = ("_bounds", "_deadline", "_dropped", "_loop", "_seconds", "_transport", "_until")

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        deadline: Deadline,
        bounds: Limits,
        seconds: float,
    ) -> None:
        self._transport, self._loop, self._deadline, self._bounds = transport, loop, deadline, bounds
        self._seconds = seconds
        self._dropped = 0
        self._until: float | None = None

    def begin(self) -> None:
        """End our side, and wait for the client to end its own."""
        self._until = self._loop.time() + self._bounds.linger_seconds
        self._move_deadline()
        self._transport.write_eof()

    def restart(self) -> None:
        """What is dropped from now on is that of another request."""
        self._dropped = 0

    def drop(self, size: int) -> bool:
        """Note so many bytes; False if they are too many."""
        self._dropped += size
        if self._until is not None:
            self._move_deadline()
        return self._dropped <= self._bounds.drained_bytes

    def _move_deadline(self) -> None:
        if self._until is not None:
            self._deadline.set(min(self._loop.time() + self._seconds, self._until))
