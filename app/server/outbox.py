"""What a connection sends, and a deadline for a client that does not read it."""

import asyncio
import fcntl
import sys
import termios
from collections.abc import Callable

from app.server.deadline import Deadline

_C_INT_BYTES = 4


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
        self._untaken = 0  # at the last look, and what was written since
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
            self._untaken += len(data)
        self._transport.write(data)

    def pause(self) -> None:
        """The client's side has no room."""
        self.is_behind = True
        self._sent = asyncio.Event()
        self._untaken = self._untaken_bytes()
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
        untaken = self._untaken_bytes()
        if untaken < self._untaken:
            self._untaken = untaken
            self._deadline.set(self._loop.time() + self._seconds)
        elif self._give_up is not None:
            self._give_up()

    def _untaken_bytes(self) -> int:
        """What was written and has not reached the client's side.

        The kernel keeps some megabytes, and asks for more only once a third of them is gone: by the bytes
        that it was not given yet, a client that reads slowly would seem to take nothing for a minute.
        """
        return self._transport.get_write_buffer_size() + _kernel_bytes(self._transport)


def _kernel_bytes(transport: asyncio.Transport) -> int:
    """What the kernel holds that the client's side has not acknowledged; 0 where it does not tell."""
    connection = transport.get_extra_info("socket")
    if connection is None:
        return 0
    try:
        queued = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(_C_INT_BYTES))
    except OSError:
        return 0
    return int.from_bytes(queued, sys.byteorder)
