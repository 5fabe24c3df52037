"""Background rounds: each named, supervised and counted."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from app.errors import StoreError
from app.metrics import Metrics

log = structlog.get_logger()

LAG_INTERVAL_SECONDS = 0.25

Seconds = float | Callable[[], float]


class Tasks:
    """Runs functions over and over, one task each; a round that fails is logged and the next one comes."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._woken = asyncio.Event()

    def every(self, seconds: Seconds, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Run `work` now and then every so many seconds, never two rounds at once.

        A function is asked for them after each round, and again when `reconsider` is called.
        """
        self._metrics.background_task_up.labels(name).set(1)
        self._tasks.append(asyncio.create_task(self._repeat(seconds, name, work), name=name))

    def measure_lag(self) -> None:
        """Watch how late the event loop wakes a timer."""
        self._tasks.append(asyncio.create_task(self._lag(), name="event-loop-lag"))

    async def stop(self) -> None:
        """Let every round that runs come to its end, then stop; none is cancelled in a store call."""
        self._stopping.set()
        self._woken.set()
        await asyncio.gather(*self._tasks)

    def reconsider(self) -> None:
        """Let every task that waits ask again how long."""
        self._woken.set()
        self._woken = asyncio.Event()

    async def _repeat(self, seconds: Seconds, name: str, work: Callable[[], Awaitable[object]]) -> None:
        up = self._metrics.background_task_up.labels(name)
        due = time.monotonic()
        while not self._stopping.is_set():
            try:
                await work()
                up.set(1)
            except StoreError:
                up.set(0)
            except Exception:
                up.set(0)
                log.exception("background task failed", task=name)
            due = await self._await_next(due, seconds)

    async def _await_next(self, last: float, seconds: Seconds) -> float:
        """Wait until the round after that of `last` is due; the moment it was due, at the earliest now."""
        ended = time.monotonic()
        while True:
            due = max(ended, last + (seconds() if callable(seconds) else seconds))
            if self._stopping.is_set() or due <= time.monotonic():
                return due
            await self._pause(due - time.monotonic())

    async def _lag(self) -> None:
        while not self._stopping.is_set():
            due = time.monotonic() + LAG_INTERVAL_SECONDS
            await self._pause(LAG_INTERVAL_SECONDS)
            self._metrics.event_loop_lag_seconds.observe(max(0.0, time.monotonic() - due))

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._woken.wait()
