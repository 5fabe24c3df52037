"""What stdout may be, and what each kind tells of its reader: a pipe, a socket, a terminal or a file.

A shell gives `tidegate tail | ./bot` a pipe. Programs that start it themselves may give it a socket: what
Node calls a pipe (`child_process.spawn`) is a pair of Unix sockets.
"""

import fcntl
import os
import select
import socket
import stat
import struct
import termios
from contextlib import suppress

PAGE_BYTES = 4096
# As much as Linux lets anybody have. A line has little more than its payload, which is 256 KiB at most.
WANTED_BYTES = 1024 * 1024


class Stdout:
    """A file, which takes everything at once, or a terminal, which is written to without waiting for it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def write(self, data: memoryview) -> int:
        """Write some of this and return how much that was.

        Raises:
            BlockingIOError: there is no room now.
            BrokenPipeError: nobody reads it any more.
        """
        return os.write(self.descriptor, data)

    def unread_bytes(self) -> int:
        """Return what its reader has not taken yet, 0 if that cannot be told."""
        return 0

    def room_bytes(self) -> int | None:
        """Return what one write is sure to take without waiting; None where nothing has to be asked."""
        return None


class Pipe(Stdout):
    """A pipe, as large as this user may have it."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        with suppress(OSError):  # the user has too many of them: it stays at 64 KiB
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, WANTED_BYTES)

    def unread_bytes(self) -> int:
        """Return what is in the pipe."""
        return _queued_bytes(self.descriptor, termios.FIONREAD)

    def room_bytes(self) -> int:
        """Return what the free pages hold.

        A pipe is a ring of pages. A write begins in the last page or in a new one, so that two pages that
        follow one another hold more than one page together, but for the first, which may be read in part.
        """
        pages = fcntl.fcntl(self.descriptor, fcntl.F_GETPIPE_SZ) // PAGE_BYTES
        queued = self.unread_bytes()
        used = 2 * (queued // PAGE_BYTES) + 2 if queued else 0
        return max(0, pages - used) * PAGE_BYTES


class Socket(Stdout):
    """A stream socket. Over a network its reader has taken what its kernel has confirmed."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        with self._opened() as opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, WANTED_BYTES)

    def write(self, data: memoryview) -> int:
        """Write what there is room for."""
        try:
            with self._opened() as opened:
                return opened.send(data, socket.MSG_DONTWAIT)
        except ConnectionResetError:  # its reader has closed it without reading everything
            raise BrokenPipeError from None

    def unread_bytes(self) -> int:
        """Return what was sent and not read, with what the kernel needs to keep it."""
        return _queued_bytes(self.descriptor, termios.TIOCOUTQ)

    def room_bytes(self) -> int:
        """Return a quarter of the buffer if at least three are free.

        Linux calls a Unix socket writable then (`unix_writable` in net/unix/af_unix.c).
        """
        poll = select.poll()
        poll.register(self.descriptor, select.POLLOUT)
        if not poll.poll(0):
            return 0
        with self._opened() as opened:
            return opened.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // 4

    def _opened(self) -> socket.socket:
        """Return the socket, to be closed again: the descriptor is not this object's to close."""
        return socket.socket(fileno=os.dup(self.descriptor))


def stdout_of(descriptor: int) -> Stdout:
    """Return what a descriptor is open for."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(mode):
        return Pipe(descriptor)
    if stat.S_ISSOCK(mode):
        return Socket(descriptor)
    return Stdout(_not_waiting(descriptor) if os.isatty(descriptor) else descriptor)


def _not_waiting(terminal: int) -> int:
    """Open a terminal once more, for writes that do not wait: the shell goes on using the first as it is.

    A terminal stands still after Ctrl-S, and a write that waits for it holds up signals too.
    """
    try:
        return os.open(f"/proc/self/fd/{terminal}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:  # it is another user's, as after `su`
        return terminal


def _queued_bytes(descriptor: int, request: int) -> int:
    count: int = struct.unpack("i", fcntl.ioctl(descriptor, request, bytes(4)))[0]
    return count
