"""What is done about memory, by the place that grew; after each action it is measured what came back."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

import structlog

from app.errors import StoreError
from app.metrics.catalogue import Metrics
from app.process.resident_memory import trim_heap

log = structlog.get_logger()

# The event loop closes connections in its next rounds; what they held is free after that.
CLOSE_SECONDS = 0.2
# While pressure lasts actions are repeated each second; those that gave nothing back are not worth a line.
LOGGED_BYTES = 1024 * 1024


class MemoryAction(StrEnum):
    """`gc` and `shrink` are for gate and workers, `emergency_cleanup` is for the store, `trim` for all."""

    GC = "gc"
    TRIM = "trim"
    SHRINK = "shrink"
    EMERGENCY_CLEANUP = "emergency_cleanup"


Released = dict[str, int]
"""Bytes that came back, by action."""


async def nobody(worker: str, action: MemoryAction) -> None:
    """Of a gate without workers."""


@dataclass
class Actions:
    """The means, as functions; `shrink` drops idle connections."""

    metrics: Metrics
    resident_bytes: Callable[[str], int]
    emergency_cleanup: Callable[[bool], Awaitable[object]]
    """With True it also sheds."""
    trim_store: Callable[[], Awaitable[object]]
    shrink: Callable[[], None]
    in_worker: Callable[[str, MemoryAction], Awaitable[object]] = nobody
    """Does the same for the memory of the worker of this name."""
    collect: Callable[[], object] = gc.collect
    trim: Callable[[], None] = trim_heap
    last: dict[str, Released] = field(default_factory=dict)
    """Of the last time each process was acted upon."""

    async def collect_and_trim(self, process: str) -> Released:
        """What costs nobody anything: garbage, and memory that is free but was kept. Nothing of the store."""
        released: Released = {}
        if process == "gate":
            for action, step in ((MemoryAction.GC, self.collect), (MemoryAction.TRIM, self.trim)):
                released[action] = self._measured(process, action, step)
        elif process != "store":
            for action in (MemoryAction.GC, MemoryAction.TRIM):
                work = self.in_worker(process, action)
                released[action] = await self._awaited(process, action, work)
        else:
            released[MemoryAction.TRIM] = await self._awaited(process, MemoryAction.TRIM, self.trim_store())
        self.last[process] = released
        return released

    async def cut_back(self, process: str, *, shed: bool = False) -> Released:
        """What costs somebody something: idle connections of clients, the store's older transactions."""
        if process == "gate":
            released: Released = {
                MemoryAction.SHRINK: await self._awaited(process, MemoryAction.SHRINK, self._shrink())
            }
        elif process != "store":
            released = {
                MemoryAction.SHRINK: await self._awaited(
                    process, MemoryAction.SHRINK, self._shrink_worker(process)
                )
            }
        else:
            work = self.emergency_cleanup(shed)
            released = {
                MemoryAction.EMERGENCY_CLEANUP: await self._awaited(
                    process, MemoryAction.EMERGENCY_CLEANUP, work
                )
            }
        self.last[process] = self.last.get(process, {}) | released
        return released

    async def _shrink(self) -> None:
        self.shrink()
        await asyncio.sleep(CLOSE_SECONDS)
        self.collect()
        self.trim()

    async def _shrink_worker(self, worker: str) -> None:
        await self.in_worker(worker, MemoryAction.SHRINK)
        await asyncio.sleep(CLOSE_SECONDS)
        await self.in_worker(worker, MemoryAction.GC)
        await self.in_worker(worker, MemoryAction.TRIM)

    def _measured(self, process: str, action: MemoryAction, work: Callable[[], object]) -> int:
        before = self.resident_bytes(process)
        work()
        return self._count(process, action, before - self.resident_bytes(process))

    async def _awaited(self, process: str, action: MemoryAction, work: Awaitable[object]) -> int:
        before = self.resident_bytes(process)
        try:
            await work
        except StoreError as error:
            log.warning("memory action failed", process=process, action=action, error=str(error))
        return self._count(process, action, before - self.resident_bytes(process))

    def _count(self, process: str, action: MemoryAction, released: int) -> int:
        released = max(0, released)
        self.metrics.guard_actions_total.labels(process, action).inc()
        self.metrics.memory_released_bytes_total.labels(action).inc(released)
        write = log.info if released >= LOGGED_BYTES else log.debug
        write("memory action", process=process, action=action, released_bytes=released)
        return released
