"""The sending half of a connection: a deadline for clients that do not read, and an end that lets them read.

A client that takes no byte of an answer for `Limits.send_seconds` is cut off (`_give_up` in connection.py);
one that takes a byte now and then is served to the end.

A connection that ends does so in two steps, since closing with bytes unread resets it, and a client that
sends all of its body first then loses the answer that it has not read: our side is ended, what still comes is
dropped for a while, and then all is closed.
"""

import asyncio
import fcntl
import socket
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Final

from app.server.limits import Limits

NEVER: Final = inf
# The loop's clock and its timers have a resolution of one millisecond.
CLOCK_SECONDS = 0.001
_C_INT_BYTES = 4
# Of an answer of unknown length. Left to itself the kernel takes megabytes for a client that does not read.
KERNEL_BYTES = 64 * 1024
_NOT_SENT = getattr(socket, "TCP_NOTSENT_LOWAT", None)  # Linux and macOS have it


class Deadline:
    """One timer for deadlines that move: calls back once the time has come.

    Deadlines move with every request, and a timer that is set anew each time would cost as much as reading
    the request. So a timer that is early enough is left alone, and looks again when it runs out: of a
    thousand requests in a second, each with ten seconds for the next, the timer of the first runs out after
    ten seconds, finds the deadline at eleven, and is set once more.
    """

    __slots__ = ("_call", "_loop", "_timer", "_timer_at", "at")

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        self._loop = loop
        self._call: Callable[[], None] | None = call
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self.at = NEVER
        """When to call back, in seconds on the loop's clock."""

    def set(self, at: float) -> None:
        """Move the deadline."""
        self.at = at
        if at < self._timer_at:
            self._arm(at)

    def stop(self) -> None:
        """Do not call back."""
        self.at = NEVER
        self._disarm()

    def end(self) -> None:
        """Never call back, and let go of the callback."""
        self.stop()
        self._call = None

    def _arm(self, at: float) -> None:
        self._disarm()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._ring)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = NEVER

    def _ring(self) -> None:
        self._timer, self._timer_at = None, NEVER
        if self.at - self._loop.time() < CLOCK_SECONDS:
            self.at = NEVER
            if self._call is not None:
                self._call()
        elif self.at != NEVER:
            self._arm(self.at)


class Writer:
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
        self.is_paused = False
        """Whether something written has not gone out."""

    @property
    def unsent_bytes(self) -> int:
        """How many bytes were written and have not gone out."""
        return self._transport.get_write_buffer_size() if self.is_paused else 0

    def write(self, *parts: bytes) -> None:
        """Send parts one behind another, as soon as the client's side has room; they are not copied."""
        if self.is_paused:
            self._untaken += sum(map(len, parts))
        self._transport.writelines(parts)

    def pause(self) -> None:
        """Start the deadline: the client's side has no room."""
        self.is_paused = True
        self._sent = asyncio.Event()
        self._untaken = self._untaken_bytes()
        self._deadline.set(self._loop.time() + self._seconds)

    def resume(self) -> None:
        """Stop the deadline: all has gone out."""
        self.is_paused = False
        self._deadline.stop()
        if self._sent is not None:
            self._sent.set()

    def end(self) -> None:
        """Let go of all: the connection has ended."""
        self.resume()
        self._deadline.end()
        self._give_up = None

    async def drain(self) -> None:
        """Wait until all has gone out, or the connection has ended."""
        if self.is_paused and self._sent is not None:
            await self._sent.wait()

    def bound_unsent(self) -> None:
        """Let the kernel keep 64 KiB at most that it has not sent, so that a stream costs a constant.

        What is under way to the client is not bounded by it, as it would be by a small SO_SNDBUF.
        """
        connection = self._transport.get_extra_info("socket")
        if connection is not None and _NOT_SENT is not None:
            with suppress(OSError):  # a unix socket has a fixed buffer
                connection.setsockopt(socket.IPPROTO_TCP, _NOT_SENT, KERNEL_BYTES)

    def _look(self) -> None:
        """Give as long again to a client that took something since the last look, and give up another."""
        untaken = self._untaken_bytes()
        if untaken < self._untaken:
            self._untaken = untaken
            self._deadline.set(self._loop.time() + self._seconds)
        elif self._give_up is not None:
            self._give_up()

    def _untaken_bytes(self) -> int:
        """Count what was written and has not reached the client's side.

        The kernel keeps some megabytes, and asks for more only once a third of them is gone: by the bytes
        that it was not given yet, a client that reads slowly would seem to take nothing for a minute.
        """
        return self._transport.get_write_buffer_size() + _kernel_bytes(self._transport)


def _kernel_bytes(transport: asyncio.Transport) -> int:
    """Count what the kernel holds that the client's side has not acknowledged; 0 where it does not tell."""
    connection = transport.get_extra_info("socket")
    if connection is None:
        return 0
    try:
        queued = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(_C_INT_BYTES))
    except OSError:
        return 0
    return int.from_bytes(queued, sys.byteorder)


class LingeringClose:
    """Drops what comes after the last answer, up to a bound of bytes and one of time."""

    __slots__ = ("_deadline", "_dropped", "_limits", "_loop", "_seconds", "_transport", "_until")

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        deadline: Deadline,
        limits: Limits,
        seconds: float,
    ) -> None:
        self._transport, self._loop, self._deadline, self._limits = transport, loop, deadline, limits
        self._seconds = seconds
        self._dropped = 0
        self._until: float | None = None

    def begin(self) -> None:
        """End our side, and wait for the client to end its own."""
        self._until = self._loop.time() + self._limits.linger_seconds
        self._move_deadline()
        self._transport.write_eof()

    def restart(self) -> None:
        """Count from 0 again: another request begins."""
        self._dropped = 0

    def drop(self, size: int) -> bool:
        """Note so many bytes; False if they are too many."""
        self._dropped += size
        if self._until is not None:
            self._move_deadline()
        return self._dropped <= self._limits.drained_bytes

    def _move_deadline(self) -> None:
        if self._until is not None:
            self._deadline.set(min(self._loop.time() + self._seconds, self._until))
