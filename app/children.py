"""What the gate's own processes share: they end with it, and meet it in a directory nobody else can enter."""

import ctypes
import fcntl
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from app.errors import ConfigError

DIR_PREFIX = "tidegate-"
_PR_SET_PDEATHSIG = 1
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


class PrivateDirectory:
    """A directory only this user can read, and the lock on it, which says that its gate is alive."""

    def __init__(self) -> None:
        _remove_stale_directories()
        self.path, self._lock = _private_directory()

    def remove(self) -> None:
        """Remove it with all it holds."""
        os.close(self._lock)
        shutil.rmtree(self.path, ignore_errors=True)


def _private_directory() -> tuple[Path, int]:
    """It gets the name that others look for only once it is locked."""
    fresh = Path(tempfile.mkdtemp(prefix=f"new-{DIR_PREFIX}"))
    lock = _lock(fresh)
    return fresh.rename(fresh.with_name(fresh.name.removeprefix("new-"))), lock


def _lock(directory: Path) -> int:
    descriptor = os.open(directory / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _remove_stale_directories() -> None:
    """A gate that was killed could not remove its own; a lock nobody holds tells which."""
    for directory in Path(tempfile.gettempdir()).glob(f"{DIR_PREFIX}*"):
        with suppress(OSError):
            os.close(_lock_of_other(directory))
            shutil.rmtree(directory, ignore_errors=True)


def _lock_of_other(directory: Path) -> int:
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
