"""Writes lines to stdout so that none is torn, and tells when its reader has taken them."""

import asyncio
import select
from collections.abc import Callable, Sequence
from itertools import accumulate

from app.cli.tail.stdout_kinds import stdout_of

FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.001, 0.05


class LineOutput:
    """Writes whole lines to a file descriptor.

    A pipe or socket gets only what it has room for. Such a write does not wait, so that not even `kill -9`
    can come in the middle of a line; a reader that stands still is waited for between two lines. Files are
    written to at once, terminals as they go on.
    """

    def __init__(self, descriptor: int) -> None:
        self._stdout = stdout_of(descriptor)

    async def write(self, lines: Sequence[bytes]) -> None:
        """Write lines, which come without their ends.

        Raises:
            BrokenPipeError: nobody reads them any more.
        """
        pause = FIRST_PAUSE_SECONDS
        while lines:
            count = self._fitting(lines)
            if count:
                await self._write(lines[:count])
                lines, pause = lines[count:], FIRST_PAUSE_SECONDS
            else:
                pause = await self._pause(pause)

    async def taken(self) -> None:
        """Wait until the reader of a pipe or socket has taken all of it; what is in a file is taken.

        Raises:
            BrokenPipeError: nobody reads it any more.
        """
        pause = FIRST_PAUSE_SECONDS
        while self._stdout.unread_bytes() or not self._has_reader():
            pause = await self._pause(pause)

    def when_closed(self, call: Callable[[], object]) -> None:
        """Have a function called once nobody reads any more, by the event loop that runs now."""
        watch = select.epoll()
        try:
            watch.register(self._stdout.descriptor, 0)  # its end is told whatever is asked for
        except PermissionError:  # a file, which nobody closes
            watch.close()
            return
        loop = asyncio.get_running_loop()

        def closed() -> None:
            loop.remove_reader(watch)
            call()

        loop.add_reader(watch, closed)

    async def _pause(self, seconds: float) -> float:
        """Wait a little for the reader, and return how long to wait the next time."""
        if not self._has_reader():
            raise BrokenPipeError
        await asyncio.sleep(seconds)
        return min(2 * seconds, MAX_PAUSE_SECONDS)

    def _fitting(self, lines: Sequence[bytes]) -> int:
        """Return how many lines a write is sure to take; one that never fits is written all the same."""
        room = self._stdout.room_bytes()
        if room is None:
            return len(lines)
        count = sum(end <= room for end in accumulate(len(line) + 1 for line in lines))
        return count or (0 if self._stdout.unread_bytes() else 1)

    def _has_reader(self) -> bool:
        poll = select.poll()
        poll.register(self._stdout.descriptor, 0)
        return not poll.poll(0)

    async def _write(self, lines: Sequence[bytes]) -> None:
        rest, pause = memoryview(b"".join([line + b"\n" for line in lines])), FIRST_PAUSE_SECONDS
        while rest:
            try:
                rest = rest[self._stdout.write(rest) :]
            except BlockingIOError:
                pause = await self._pause(pause)
