"""One worker as the control plane sees it: its process, and what it last said of itself."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable
from contextlib import suppress

import httpx
import msgspec
import structlog

from app.ingest.source_statistics import SourceStatistics
from app.metrics.catalogue import Metrics
from app.process.child_processes import die_with_parent, path_of, private_listener
from app.process.shared_task import SharedNextTask
from app.workers.pool.heartbeat import PATIENCE_SECONDS
from app.workers.pool.worker_config import WorkerConfig
from app.workers.pool.worker_counters import Growth, WorkerReport

log = structlog.get_logger()

COMMAND = (sys.executable, "-m", "app.workers.process")
BACKLOG = 128
START_SECONDS = 60.0  # a start takes a second of CPU or two, of which a busy machine may give it little
STOP_SECONDS = 6.0
POLL_SECONDS = 0.02
ANSWER_SECONDS = 1.0
GIVE_BACK_SECONDS = 5.0
# Allocations are traced for a minute at most.
EXAMINE_SECONDS = 120.0

_read_report = msgspec.msgpack.Decoder(WorkerReport).decode


class Worker:
    """Starts the process of one worker, asks it, and ends it; whoever calls decides when."""

    def __init__(self, config: WorkerConfig, metrics: Metrics, sources: SourceStatistics) -> None:
        self._config = config
        self._metrics, self._sources = metrics, sources
        self._asking = SharedNextTask(self._ask)
        self._process: asyncio.subprocess.Process | None = None
        self._client: httpx.AsyncClient | None = None
        self._door: int | None = None
        self._growth = Growth(metrics, sources)
        self._is_up = False
        self.started_at = 0.0
        self.start_time_seconds = 0.0
        """The time at which the process was started, seconds since the epoch."""
        self.answers = False
        """Whether the worker answered when it was last asked."""
        self.report: WorkerReport | None = None
        """The last report of the process that runs, None while no process is up."""

    @property
    def name(self) -> str:
        """The name of the worker, `worker-1` for the first."""
        return self._config.name

    @property
    def pid(self) -> int | None:
        """The process id, once the process has come up and while it runs."""
        return self._process.pid if self._is_up and self._process is not None else None

    async def begin(self) -> None:
        """Start a process; it is not up yet."""
        self._growth = Growth(self._metrics, self._sources)
        self.started_at, self.start_time_seconds = time.monotonic(), time.time()
        listener, self._door = private_listener(BACKLOG)
        # Only the child keeps the listener: when it ends, who connects is refused and does not wait.
        with listener:
            self._process = await self._spawn(listener.fileno())
        transport = httpx.AsyncHTTPTransport(uds=path_of(self._door), verify=False)
        self._client = httpx.AsyncClient(
            transport=transport, base_url="http://worker", trust_env=False, timeout=GIVE_BACK_SECONDS
        )

    async def _spawn(self, private: int) -> asyncio.subprocess.Process:
        config = msgspec.structs.replace(self._config, private=private)
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            stdin=asyncio.subprocess.PIPE,
            pass_fds=(private, *msgspec.structs.astuple(config.inherited)),
            preexec_fn=die_with_parent(os.getpid(), "TIDEGATE_WORKERS above 1"),
            start_new_session=True,
        )
        stdin = process.stdin
        if stdin is not None:
            # The process may have ended already; uvloop then says so with a RuntimeError.
            with suppress(OSError, RuntimeError):
                stdin.write(msgspec.json.encode(config))
                await stdin.drain()
                stdin.close()
        return process

    async def came_up(self) -> bool:
        """Wait until the process answers; False when it ended, or was ended because it took too long."""
        process = self._process
        while process is not None and process.returncode is None:
            await self.ask()
            if self.answers:
                self._is_up = True
                log.info("worker up", worker=self.name, pid=process.pid)
                return True
            if time.monotonic() - self.started_at > START_SECONDS:
                log.error("worker did not come up in time", worker=self.name, seconds=START_SECONDS)
                process.kill()
                break
            await asyncio.sleep(POLL_SECONDS)
        return False

    async def ended(self) -> int | None:
        """Wait until the process ends; its exit code."""
        process, client = self._process, self._client
        code = await process.wait() if process is not None else None
        self._is_up = self.answers = False
        self.report = None
        if client is not None:
            await client.aclose()
        self._close_door()
        return code

    def _close_door(self) -> None:
        if self._door is not None:
            os.close(self._door)
            self._door = None

    async def ask(self) -> None:
        """Ask the worker for a report; the last one stays when it does not answer.

        All who want a report while a question is under way share the next one: a worker that answers in
        time is not taken for silent because many ask.
        """
        await self._asking.result()

    async def _ask(self) -> None:
        process, client, answer = self._process, self._client, None
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._answered(client.get("/report") if client else None)
        if process is None or process is not self._process or process.returncode is not None:
            return
        self.answers = answer is not None
        if answer is not None:
            self.report = _read_report(answer)
            self._growth.add(self.report)

    async def lives(self) -> bool:
        """Ask for a sign of life, for a few seconds; True also of a worker that is not up, unasked."""
        client = self._client
        if not self._is_up or client is None:
            return True
        with suppress(TimeoutError, httpx.HTTPError, RuntimeError, OSError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await client.get("/livez")
                return True
        return False

    def kill(self) -> None:
        """End the process at once, also one that is stopped."""
        process = self._process
        if process is not None and process.returncode is None:
            log.error("worker does not answer, killing it", worker=self.name, pid=process.pid)
            with suppress(ProcessLookupError):
                process.kill()

    async def free_memory(self, action: str) -> None:
        """Have the worker return memory to the system by `gc`, `trim` or `shrink`."""
        client, answer = self._client, None
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVE_BACK_SECONDS):
                answer = await self._answered(client.post(f"/free-memory/{action}") if client else None)
        if answer is None:
            log.warning("worker did not answer", worker=self.name, asked=action)

    async def examine(self, leak: bytes) -> bytes | None:
        """Have the worker examine itself; None when it does not answer, empty when it found nothing."""
        client, answer = self._client, None
        if client is not None:
            call = client.post("/examine", content=leak, timeout=EXAMINE_SECONDS)
            answer = await self._answered(call)
        if answer is None:
            log.warning("worker did not answer", worker=self.name, asked="examine")
        return answer

    async def stop(self) -> None:
        """Let the worker finish what it has taken in; end it by force if that takes too long."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            log.warning("worker did not stop in time", worker=self.name, seconds=STOP_SECONDS)
            process.kill()
            await process.wait()

    async def _answered(self, call: Awaitable[httpx.Response] | None) -> bytes | None:
        try:
            response = await call if call is not None else None
        except (httpx.HTTPError, RuntimeError, OSError):
            return None
        return response.content if response is not None and response.is_success else None
