"""What the guard can do about memory, by the place that holds it; each action measures what came back.

| action | place | what it frees | what it costs |
|---|---|---|---|
| gc | gate, worker | objects that only refer to each other | some milliseconds |
| trim | gate, worker, the service's own store | free pages that the allocator keeps | page faults later |
| shrink | gate, worker | idle connections of clients | they connect again |
| emergency_cleanup | store | older transactions and observations | they can no longer be looked up |

The first two cost nobody anything and are what `collect_and_trim` does; `cut_back` does the others.
"""

import gc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

import structlog

from app.errors import StoreError
from app.metrics.catalogue import Metrics
from app.process.heap import trim_heap

log = structlog.get_logger()

# While pressure lasts actions are repeated each second; those that gave nothing back are not worth a line.
LOGGED_BYTES = 1024 * 1024


class MemoryAction(StrEnum):
    """One way to free memory, by its name in metrics, logs and diagnoses."""

    GC = "gc"
    TRIM = "trim"
    SHRINK = "shrink"
    EMERGENCY_CLEANUP = "emergency_cleanup"


Released = dict[str, int]
"""Bytes that came back, by action."""


@dataclass
class Actions:
    """Frees memory by functions that it is given."""

    metrics: Metrics
    resident_bytes: Callable[[str], int]
    """Reads the resident bytes of the process of this name."""
    emergency_cleanup: Callable[[bool], Awaitable[object]]
    """Cleans the store; with True it also removes the oldest quarter (sheds)."""
    trim_store: Callable[[], Awaitable[object]]
    shrink: Callable[[], Awaitable[object]]
    """Closes idle connections of clients of this process; on return they are closed."""
    in_worker: Callable[[str, MemoryAction], Awaitable[object]] | None = None
    """Has the worker of this name do it for its own memory; None without workers."""
    collect: Callable[[], object] = gc.collect
    trim: Callable[[], None] = trim_heap
    last: dict[str, Released] = field(default_factory=dict)
    """What came back when each process was last acted upon."""

    def __post_init__(self) -> None:
        self.metrics.memory_released_bytes_total.start(*zip(MemoryAction))

    def start_series(self, process: str) -> None:
        """Start the counters of what can be done about a process at 0."""
        of_store = (MemoryAction.TRIM, MemoryAction.EMERGENCY_CLEANUP)
        of_others = (MemoryAction.GC, MemoryAction.TRIM, MemoryAction.SHRINK)
        actions = of_store if process == "store" else of_others
        self.metrics.guard_actions_total.start(*((process, action) for action in actions))

    async def collect_and_trim(self, process: str) -> Released:
        """Free what nobody uses: garbage, and memory that is free but was kept. Data of the store stays."""
        actions = (MemoryAction.TRIM,) if process == "store" else (MemoryAction.GC, MemoryAction.TRIM)
        released: Released = {}
        for action in actions:
            released[action] = await self._measured(process, action, self._do(process, action))
        self.last[process] = released
        return released

    async def cut_back(self, process: str, *, shed: bool = False) -> Released:
        """Free what somebody may miss: idle connections of clients, the store's older transactions."""
        if process == "store":
            action, work = MemoryAction.EMERGENCY_CLEANUP, self.emergency_cleanup(shed)
        else:
            action, work = MemoryAction.SHRINK, self._shrink(process)
        released: Released = {action: await self._measured(process, action, work)}
        self.last[process] = self.last.get(process, {}) | released
        return released

    async def _do(self, process: str, action: MemoryAction) -> None:
        if process == "store":
            await self.trim_store()
        elif process == "gate" and action is MemoryAction.SHRINK:
            await self.shrink()
        elif process == "gate":
            {MemoryAction.GC: self.collect, MemoryAction.TRIM: self.trim}[action]()
        elif self.in_worker is not None:
            await self.in_worker(process, action)

    async def _shrink(self, process: str) -> None:
        await self._do(process, MemoryAction.SHRINK)
        await self._do(process, MemoryAction.GC)
        await self._do(process, MemoryAction.TRIM)

    async def _measured(self, process: str, action: MemoryAction, work: Awaitable[object]) -> int:
        """Await the work and return how many resident bytes came back; a store that fails is logged."""
        before = self.resident_bytes(process)
        try:
            await work
        except StoreError as error:
            log.warning("memory action failed", process=process, action=action, error=str(error))
        released = max(0, before - self.resident_bytes(process))
        self.metrics.guard_actions_total.labels(process, action).inc()
        self.metrics.memory_released_bytes_total.labels(action).inc(released)
        write = log.info if released >= LOGGED_BYTES else log.debug
        write("memory action", process=process, action=action, released_bytes=released)
        return released
