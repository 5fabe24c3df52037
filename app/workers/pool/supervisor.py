"""Keeps the workers running: starts them together, starts again what ends, ends what hangs, stops them all.

Two tasks belong to each worker. `_keep` waits for the end of its process and starts another one: at once
when it had run for half a minute, else after a pause that doubles, so that a worker which cannot start
does not take all of a processor (after 0, 0.1, 0.2, 0.4 … 5 seconds). `_watch` ends a process that runs
but answers nothing (heartbeat.py says when), whereupon `_keep` sees its end like any other. Both end when
all workers are told to stop.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from app.errors import WorkerFailed
from app.workers.pool.heartbeat import HEARTBEAT_SECONDS, hangs
from app.workers.pool.pool import WorkerPool

if TYPE_CHECKING:
    from app.workers.pool.worker import Worker

log = structlog.get_logger()

# A worker that ran for so long is started again at once; one that keeps ending, with growing pauses.
CALM_SECONDS = 30.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0


class Supervisor:
    """Starts and stops the processes of a pool; `changed` is called whenever one came up or ended."""

    def __init__(self, pool: WorkerPool, changed: Callable[[], None]) -> None:
        self._pool, self._changed = pool, changed
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Start all workers; on return each one takes traffic.

        Raises:
            WorkerFailed: one ended before it was up; the others are stopped.
        """
        workers = self._pool.workers
        begun = await asyncio.gather(*map(self._begin, workers), return_exceptions=True)
        failures = [str(failure) for failure in begun if isinstance(failure, BaseException)]
        if failures:
            await self.stop()
            raise WorkerFailed(failures[0])
        work = ((self._keep(worker), self._watch(worker)) for worker in workers)
        self._tasks = [asyncio.create_task(task) for pair in work for task in pair]

    async def stop(self) -> None:
        """Stop all workers, each after it has finished what it had taken in."""
        self._stopping.set()
        await asyncio.gather(*(worker.stop() for worker in self._pool.workers))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._pool.finish_asking()

    async def _begin(self, worker: "Worker") -> None:
        await worker.begin()
        if not await worker.came_up():
            code = await worker.ended()
            raise WorkerFailed(f"{worker.name} ended with {code} before it was up; its last lines say why")
        self._changed()

    async def _keep(self, worker: "Worker") -> None:
        """Wait for the end of a worker, and start it again, until all are stopped."""
        pause = 0.0
        while True:
            code = await worker.ended()
            self._changed()
            if self._stopping.is_set():
                return
            if time.monotonic() - worker.started_at > CALM_SECONDS:
                pause = 0.0
            log.error(
                "worker ended, starting it again", worker=worker.name, exit_code=code, pause_seconds=pause
            )
            if await self._stops_within(pause):
                return
            pause = min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, 2 * pause))
            self._pool.restarts += 1
            await self._again(worker)

    async def _watch(self, worker: "Worker") -> None:
        """End a worker whenever it hangs, so that it is started again, until all are stopped."""
        while await hangs(worker.lives, lambda: self._stops_within(HEARTBEAT_SECONDS)):
            worker.kill()

    async def _again(self, worker: "Worker") -> None:
        try:
            await worker.begin()
        except Exception as error:  # noqa: BLE001  whatever it was: without this task no worker comes back
            log.error("worker not started", worker=worker.name, error=str(error))  # noqa: TRY400  says it all
            return
        # Told to stop while the process was made: `stop` found none to end.
        if self._stopping.is_set():
            await worker.stop()
        elif await worker.came_up():
            self._changed()

    async def _stops_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        return self._stopping.is_set()
