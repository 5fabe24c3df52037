"""What is done about memory, by the place that grew; after each action it is measured what came back."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

import structlog

from app.errors import StoreError
from app.memory import trim_heap
from app.metrics import Metrics

log = structlog.get_logger()

# The store frees large keys behind the call that removes them.
SETTLE_SECONDS = 0.5


class Action(StrEnum):
    """`gc`, `trim` and `shrink` are for the gate's own memory, `emergency_cleanup` for the store's."""

    GC = "gc"
    TRIM = "trim"
    SHRINK = "shrink"
    EMERGENCY_CLEANUP = "emergency_cleanup"


Released = dict[Action, int]


@dataclass
class Actions:
    """The means, as functions; `shrink` drops idle connections."""

    metrics: Metrics
    resident_bytes: Callable[[str], int]
    emergency_cleanup: Callable[[], Awaitable[object]]
    shrink: Callable[[], None]
    collect: Callable[[], object] = gc.collect
    trim: Callable[[], None] = trim_heap
    settle_seconds: float = SETTLE_SECONDS
    last: dict[str, Released] = field(default_factory=dict)
    """Bytes that came back by action, of the last time each process was acted upon."""

    async def give_back(self, process: str) -> Released:
        """What costs nobody anything: garbage, and memory that is free but was kept. Nothing of the store."""
        released: Released = {}
        if process == "gate":
            for action, work in ((Action.GC, self.collect), (Action.TRIM, self.trim)):
                released[action] = self._measured(process, action, work)
        self.last[process] = released
        return released

    async def act(self, process: str) -> Released:
        """What costs somebody something: the gate's idle connections, the store's older transactions."""
        if process == "gate":
            released = {Action.SHRINK: self._measured(process, Action.SHRINK, self.shrink)}
        else:
            released = {Action.EMERGENCY_CLEANUP: await self._clean(process)}
        self.last[process] = self.last.get(process, {}) | released
        return released

    def _measured(self, process: str, action: Action, work: Callable[[], object]) -> int:
        before = self.resident_bytes(process)
        work()
        return self._count(process, action, before - self.resident_bytes(process))

    async def _clean(self, process: str) -> int:
        before = self.resident_bytes(process)
        try:
            await self.emergency_cleanup()
        except StoreError as error:
            log.warning("emergency cleanup failed", error=str(error))
        await asyncio.sleep(self.settle_seconds)
        return self._count(process, Action.EMERGENCY_CLEANUP, before - self.resident_bytes(process))

    def _count(self, process: str, action: Action, released: int) -> int:
        released = max(0, released)
        self.metrics.guard_actions_total.labels(process, action).inc()
        self.metrics.memory_released_bytes_total.labels(action).inc(released)
        log.info("memory action", process=process, action=action, released_bytes=released)
        return released
