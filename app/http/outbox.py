"""What a connection sends, and a deadline for a client that does not read it."""

import asyncio
from collections.abc import Callable

from app.http.deadline import Deadline


class Outbox:
    """Writes to the transport, which sends at once what the client's side has room for."""

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        seconds: float,
        give_up: Callable[[], None],
    ) -> None:
        # With 0 the transport tells whenever something is left unsent, however little.
        transport.set_write_buffer_limits(high=0)
        self._transport, self._loop, self._seconds = transport, loop, seconds
        self._give_up: Callable[[], None] | None = give_up
        self._deadline = Deadline(loop, self._look)
        self._unsent = 0
        self._sent: asyncio.Event | None = None
        self.is_behind = False
        """Whether something written has not gone out."""

    @property
    def unsent_bytes(self) -> int:
        """What was written and has not gone out."""
        return self._transport.get_write_buffer_size() if self.is_behind else 0

    def write(self, data: bytes) -> None:
        """Send."""
        if self.is_behind:
            self._unsent += len(data)
        self._transport.write(data)

    def pause(self) -> None:
        """The client's side has no room."""
        self.is_behind = True
        self._sent = asyncio.Event()
        self._unsent = self._transport.get_write_buffer_size()
        self._deadline.set(self._loop.time() + self._seconds)

    def resume(self) -> None:
        """All has gone out."""
        self.is_behind = False
        self._deadline.stop()
        if self._sent is not None:
            self._sent.set()

    def end(self) -> None:
        """The connection has ended."""
        self.resume()
        self._deadline.end()
        self._give_up = None

    async def drain(self) -> None:
        """Wait until all has gone out, or the connection has ended."""
        if self.is_behind and self._sent is not None:
            await self._sent.wait()

    def _look(self) -> None:
        """A client that took something since the last look gets as long again."""
        unsent = self._transport.get_write_buffer_size()
        if unsent < self._unsent:
            self._unsent = unsent
            self._deadline.set(self._loop.time() + self._seconds)
        elif self._give_up is not None:
            self._give_up()
