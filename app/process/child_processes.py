"""What the gate's own processes share: they end with it, and what they share with it lies in no file.

Files of a temporary directory are removed by cleaners, such as systemd-tmpfiles, after some days. So sockets
are reached and memory is mapped through descriptors, which live as long as a process has them.
"""

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from app.errors import ConfigError

DIR_PREFIX = "tidegate-"
LOCK = "lock"
_PR_SET_PDEATHSIG = 1
_O_PATH = getattr(os, "O_PATH", 0)  # Linux has it
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(parent: int, needed_by: str) -> Callable[[], None]:
    """Run in the child: the kernel kills it when the gate is gone (prctl(2), PR_SET_PDEATHSIG).

    Raises:
        ConfigError: this is not Linux; the sentence begins with `needed_by`.
    """
    if _libc is None:
        raise ConfigError(f"{needed_by} needs Linux")
    prctl = _libc.prctl

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return arm


def shared_memory(name: str, size: int, needed_by: str) -> int:
    """Make `size` bytes of memory, all of them 0, and return its descriptor for children to inherit and map.

    Raises:
        ConfigError: this is not Linux; the sentence begins with `needed_by`.
    """
    if sys.platform != "linux":
        raise ConfigError(f"{needed_by} needs Linux")
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    os.ftruncate(descriptor, size)
    return descriptor


def door_to(path: Path) -> int:
    """Open a descriptor of a socket's file, for `path_of`; it leads there also after the file was removed."""
    return os.open(path, _O_PATH | os.O_CLOEXEC)


def path_of(door: int, process: int | str = "self") -> str:
    """Return the path by which the process that has this descriptor connects; another names the process.

    Linux follows it to the socket itself, without looking for a name (proc(5), /proc/pid/fd).
    """
    return f"/proc/{process}/fd/{door}"


def private_listener(backlog: int) -> tuple[socket.socket, int]:
    """Make a listening unix socket without a file; return it and the descriptor by which it is reached."""
    listener = socket.socket(socket.AF_UNIX)
    with tempfile.TemporaryDirectory(prefix=f"new-{DIR_PREFIX}") as directory:
        path = Path(directory) / "socket"
        listener.bind(str(path))
        listener.listen(backlog)
        return listener, door_to(path)


class PrivateDirectory:
    """A directory only this user can read, and the lock on it, which says that its gate is alive."""

    def __init__(self) -> None:
        _remove_stale_directories()
        self.path, self._lock = _private_directory()

    def ensure(self) -> None:
        """Make another one, should somebody have removed it or what says whose it is."""
        if not (self.path / LOCK).exists():
            self.remove()
            self.path, self._lock = _private_directory()

    def remove(self) -> None:
        """Remove the directory with all it holds."""
        os.close(self._lock)
        shutil.rmtree(self.path, ignore_errors=True)


def _private_directory() -> tuple[Path, int]:
    """Make the directory; it gets the name that others look for only once it is locked."""
    fresh = Path(tempfile.mkdtemp(prefix=f"new-{DIR_PREFIX}"))
    lock = _lock(fresh)
    return fresh.rename(fresh.with_name(fresh.name.removeprefix("new-"))), lock


def _lock(directory: Path) -> int:
    descriptor = os.open(directory / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _remove_stale_directories() -> None:
    """Remove directories of gates that were killed: nobody holds their locks."""
    for directory in Path(tempfile.gettempdir()).glob(f"{DIR_PREFIX}*"):
        with suppress(OSError):
            os.close(_lock_of_other(directory))
            shutil.rmtree(directory, ignore_errors=True)


def _lock_of_other(directory: Path) -> int:
    descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
