"""Background tasks: each named, supervised and counted."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

import structlog

from app.errors import StoreError
from app.metrics.catalogue import Metrics
from app.process.event_loop_lag import event_loop_lag

log = structlog.get_logger()

# So that a task that fails each time, and is due each tenth of a second, does not fill the log.
FAILED_PAUSE_SECONDS = 1.0

Seconds = float | Callable[[], float]


class Task(NamedTuple):
    """What is done over and over: its name in logs and metrics, how often, and the function."""

    name: str
    seconds: Seconds
    """Seconds from the begin of one run to that of the next, or a function that says so after each."""
    run: Callable[[], Awaitable[object]]


class Tasks:
    """Runs functions over and over, one task each; a run that fails is logged and the next one comes."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._woken = asyncio.Event()

    def start(self, tasks: Iterable[Task]) -> None:
        """Run each task from now on, and measure the lag of the event loop beside them."""
        for task in tasks:
            self.every(task.seconds, task.name, task.run)
        self._tasks.append(asyncio.create_task(self._measure_lag(), name="event-loop-lag"))

    def every(self, seconds: Seconds, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Run `work` now and then every so many seconds, never twice at once.

        A function is asked for them after each run, and again when `reconsider` is called.
        """
        self._metrics.background_task_up.labels(name).set(1)
        self._tasks.append(asyncio.create_task(self._repeat(seconds, name, work), name=name))

    async def once(self, name: str, work: Callable[[], Awaitable[object]]) -> bool:
        """Run `work` once, now, under the supervision of `every`; whether it did what it should."""
        up = self._metrics.background_task_up.labels(name)
        try:
            await work()
        except StoreError:
            up.set(0)
            return True
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            self._log_failure(name, error)  # of something it waited for, which somebody else has cancelled
            return False
        except Exception as error:  # noqa: BLE001  whatever a run raises, the next one comes
            self._log_failure(name, error)
            return False
        up.set(1)
        return True

    async def stop(self) -> None:
        """Let every run that is under way come to its end, then stop; none is cancelled in a store call."""
        self._stopping.set()
        self._woken.set()
        await asyncio.gather(*self._tasks)

    def reconsider(self) -> None:
        """Let every task that waits ask again how long."""
        self._woken.set()
        self._woken = asyncio.Event()

    async def _repeat(self, seconds: Seconds, name: str, work: Callable[[], Awaitable[object]]) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            pause = 0.0 if await self.once(name, work) else FAILED_PAUSE_SECONDS
            due = await self._await_next(due, seconds, pause)

    def _log_failure(self, name: str, error: BaseException) -> None:
        self._metrics.background_task_up.labels(name).set(0)
        log.error("background task failed", task=name, exc_info=error)

    async def _await_next(self, last: float, seconds: Seconds, pause: float) -> float:
        """Wait until the run after that of `last` is due; the moment it was due, after a pause at least."""
        ended = time.monotonic() + pause
        while True:
            due = max(ended, last + (seconds() if callable(seconds) else seconds))
            if self._stopping.is_set() or due <= time.monotonic():
                return due
            await self._pause(due - time.monotonic())

    async def _measure_lag(self) -> None:
        while not self._stopping.is_set():
            self._metrics.event_loop_lag_seconds.observe(await event_loop_lag(self._pause))

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._woken.wait()


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
