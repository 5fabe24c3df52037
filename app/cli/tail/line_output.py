"""Writes lines to stdout so that none is torn, and tells when its reader has taken them."""

import asyncio
import fcntl
import os
import select
import stat
import struct
import termios
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import accumulate

PAGE_BYTES = 4096
# As much as Linux lets anybody have. A line has little more than its payload, which is 256 KiB at most.
WANTED_PIPE_BYTES = 1024 * 1024
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.001, 0.05


class LineOutput:
    """Writes whole lines to a file descriptor.

    A pipe gets only what it has room for. Such a write does not wait, so that not even `kill -9` can come in
    the middle of a line; a reader that stands still is waited for between two lines. Files and terminals are
    written to at once.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        if self._is_pipe:
            with suppress(OSError):  # the user has too many of them: it stays at 64 KiB
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, WANTED_PIPE_BYTES)

    async def write(self, lines: Sequence[bytes]) -> None:
        """Write lines, which come without their ends.

        Raises:
            BrokenPipeError: nobody reads the pipe any more.
        """
        if not self._is_pipe:
            self._write(lines)
            return
        pause = FIRST_PAUSE_SECONDS
        while lines:
            count = self._fitting(lines)
            if count:
                self._write(lines[:count])
                lines, pause = lines[count:], FIRST_PAUSE_SECONDS
            else:
                pause = await self._pause(pause)

    async def taken(self) -> None:
        """Wait until the reader of a pipe has taken all of it; what is in a file is taken.

        Raises:
            BrokenPipeError: nobody reads the pipe any more.
        """
        pause = FIRST_PAUSE_SECONDS
        while self._is_pipe and (self._queued_bytes() or not self._has_reader()):
            pause = await self._pause(pause)

    def when_closed(self, call: Callable[[], object]) -> None:
        """Have a function called once nobody reads the pipe any more, by the event loop that runs now."""
        if not self._is_pipe:
            return
        loop = asyncio.get_running_loop()

        def closed() -> None:
            loop.remove_reader(self._descriptor)
            call()

        loop.add_reader(self._descriptor, closed)

    async def _pause(self, seconds: float) -> float:
        """Wait a little for the reader, and return how long to wait the next time."""
        if not self._has_reader():
            raise BrokenPipeError
        await asyncio.sleep(seconds)
        return min(2 * seconds, MAX_PAUSE_SECONDS)

    def _fitting(self, lines: Sequence[bytes]) -> int:
        """Return how many of the lines a write to the pipe is sure to take without waiting.

        A pipe is a ring of pages. A write begins in the last page or in a new one, so that two pages that
        follow one another hold more than one page together, but for the first, which may be read in part.
        A line that no empty pipe has room for is written all the same.
        """
        pages = fcntl.fcntl(self._descriptor, fcntl.F_GETPIPE_SZ) // PAGE_BYTES
        queued = self._queued_bytes()
        used = 2 * (queued // PAGE_BYTES) + 2 if queued else 0
        room = (pages - used) * PAGE_BYTES
        count = sum(end <= room for end in accumulate(len(line) + 1 for line in lines))
        return count or (0 if queued else 1)

    def _queued_bytes(self) -> int:
        count: int = struct.unpack("i", fcntl.ioctl(self._descriptor, termios.FIONREAD, bytes(4)))[0]
        return count

    def _has_reader(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, 0)
        return not poll.poll(0)

    def _write(self, lines: Sequence[bytes]) -> None:
        rest = memoryview(b"".join([line + b"\n" for line in lines]))
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # whoever started this made it so
                select.select([], [self._descriptor], [])
