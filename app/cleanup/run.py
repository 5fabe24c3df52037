"""Cleans up: one `run(trigger, mode, maps, dry_run)` for the timer, the operator, an alert and the guard.

A run goes through the maps in bounded steps, so that ingest has its turn between two of them. Each step
removes whole buckets of what is past retention, eight of a map at most, or one in an emergency. For example,
an emergency cleanup with 12 buckets of transactions due takes 12 steps, 0.1 s apart; after each fourth, and
at the end, the service's own store returns to the system what was freed.

Partitions of a Cluster whose master cannot be used, or whose slot is moved, are left out, and the report
names them: the others are cleaned up all the same.
"""

import asyncio
import itertools
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from app.errors import StoreError
from app.metrics.catalogue import Metrics
from app.models import MapName, MapRemoval, MemoryChange, Mode, Reason, Report, Trigger
from app.store.cleanup_severity import CleanupStep, Severity
from app.store.down_partitions import OF_ONE_MASTER
from app.store.maps import Maps
from app.store.session import StoreSession

log = structlog.get_logger()

ALL_MAPS = frozenset(MapName)
REPORTS_KEPT = 50
BUCKETS_A_STEP = 8
# A trim visits all free memory, so many small ones cost more than one; one alone stops the store for 25 ms.
EMERGENCY_BUCKETS_A_STEP, STEPS_A_TRIM = 1, 4
EMERGENCY_PAUSE_SECONDS = 0.1
LOGGED_REMOVAL_ENTRIES = 100


class Job(NamedTuple):
    """What one cleanup is asked to do."""

    trigger: Trigger
    mode: Mode
    maps: frozenset[MapName]
    dry_run: bool
    shed: bool

    @property
    def severity(self) -> Severity:
        """How much is removed: what is past retention, past emergency retention, or a quarter more (shed)."""
        if self.mode is Mode.NORMAL:
            return Severity.NORMAL
        return Severity.SHED if self.shed else Severity.EMERGENCY

    @property
    def is_for_memory(self) -> bool:
        """Whether the store has to return what is freed: in an emergency, unless nothing is removed."""
        return self.mode is Mode.EMERGENCY and not self.dry_run

    @property
    def pause_seconds(self) -> float:
        """The pause between two steps, for ingest to have the store to itself; none while it is refused."""
        return EMERGENCY_PAUSE_SECONDS if self.is_for_memory and not self.shed else 0

    def step(self, name: MapName) -> CleanupStep:
        """Return what one step on one map is to remove."""
        most = EMERGENCY_BUCKETS_A_STEP if self.is_for_memory else BUCKETS_A_STEP
        is_periodic = self.trigger is Trigger.PERIODIC
        return CleanupStep(name, self.severity, self.reason, most, self.dry_run, is_periodic)

    @property
    def reason(self) -> Reason:
        """The reason that removals are counted under."""
        if self.mode is Mode.EMERGENCY:
            return Reason.EMERGENCY
        return Reason.MANUAL if self.trigger is Trigger.MANUAL else Reason.EXPIRED


@dataclass
class _Found:
    """What the steps of one cleanup have removed, and what they have found left."""

    removed: Counter[MapName] = field(default_factory=Counter)
    after: dict[tuple[MapName, str], int] = field(default_factory=dict)
    """The entries that a map has left in a partition."""
    left_out: dict[str, str] = field(default_factory=dict)
    """The partitions that could not be cleaned up, with the kind of the failure."""

    def removals(self, maps: frozenset[MapName]) -> dict[MapName, MapRemoval]:
        """Add up what became of each map, over the partitions that could be asked."""
        left = Counter[MapName]()
        for (name, _), entries in self.after.items():
            left[name] += entries
        return {
            name: MapRemoval(
                before=self.removed[name] + left[name], removed=self.removed[name], after=left[name]
            )
            for name in MapName
            if name in maps
        }


class Cleanup:
    """Removes what is past retention, whole buckets in bounded steps; keeps the last 50 reports.

    `own_store` is the session of a store that belongs to this service, which is made to return what it freed;
    None for a store that others may use.
    """

    def __init__(
        self,
        maps: Maps,
        metrics: Metrics,
        resident_bytes: Callable[[], int],
        own_store: StoreSession | None,
    ) -> None:
        self._maps = maps
        self._metrics = metrics
        self._resident_bytes = resident_bytes
        self._own_store = own_store
        self._one_at_a_time = asyncio.Lock()
        self._running: dict[Job, asyncio.Task[Report]] = {}
        self.reports: deque[Report] = deque(maxlen=REPORTS_KEPT)
        self.last: Report | None = None

    async def run(
        self,
        trigger: Trigger,
        mode: Mode = Mode.NORMAL,
        maps: frozenset[MapName] = ALL_MAPS,
        dry_run: bool = False,
        *,
        shed: bool = False,
    ) -> Report:
        """Clean up and report; calls that ask the same at the same time share one run.

        With `shed` an emergency cleanup also lets the oldest quarter of transactions and observations go, by
        reason `capacity`: memory is at its limit as a map can be at its own.

        Raises:
            StoreError: the store failed, all partitions of it; what was removed before stays counted.
        """
        job = Job(trigger, mode, maps, dry_run, shed)
        task = self._running.get(job)
        if task is None:
            task = self._running[job] = asyncio.create_task(self._exclusive(job))
            task.add_done_callback(lambda _: self._running.pop(job, None))
        return await asyncio.shield(task)

    async def trim_store(self) -> None:
        """Make the service's own store return freed memory to the system; nothing is done to another's.

        It stops the store for as long as there is much to return.

        Raises:
            StoreError: the store failed.
        """
        if self._own_store is not None:
            await self._own_store.trim_memory()

    async def _exclusive(self, job: Job) -> Report:
        async with self._one_at_a_time:
            try:
                with self._metrics.cleanup_duration_seconds.labels(job.mode).time():
                    report = await self._measured(job)
            except StoreError as error:
                self._metrics.count_failed_cleanup(job.trigger, job.mode, job.maps)
                if job.trigger is not Trigger.PERIODIC:
                    log.warning("cleanup failed", trigger=job.trigger, mode=job.mode, error=str(error))
                raise
        self._publish(report)
        return report

    async def _measured(self, job: Job) -> Report:
        started_ms, started, before_bytes = int(time.time() * 1000), time.monotonic(), self._resident_bytes()
        found = await self._clean(job)
        after_bytes = self._resident_bytes()
        return Report(
            trigger=job.trigger,
            mode=job.mode,
            dry_run=job.dry_run,
            started_ms=started_ms,
            duration_seconds=time.monotonic() - started,
            maps=found.removals(job.maps),
            memory=MemoryChange(
                before_bytes=before_bytes, after_bytes=after_bytes, released_bytes=before_bytes - after_bytes
            ),
            left_out=found.left_out,
        )

    async def _clean(self, job: Job) -> "_Found":
        """Take a step of every map in turn until none has more: what came together leaves together."""
        found, prefixes = _Found(), self._maps.layout.prefixes
        unfinished = [(name, prefix) for name in MapName if name in job.maps for prefix in prefixes]
        for number in itertools.count(1):
            due, unfinished = unfinished, []
            for name, prefix in due:
                if prefix not in found.left_out and await self._step(job, name, prefix, found):
                    unfinished.append((name, prefix))
            if job.is_for_memory and (not unfinished or number % STEPS_A_TRIM == 0):
                await self.trim_store()
            if not unfinished:
                break
            await asyncio.sleep(job.pause_seconds)
        return found

    async def _step(self, job: Job, name: MapName, prefix: str, found: "_Found") -> bool:
        """Take one step on one partition, which is left out if it cannot be used; whether more is due there.

        Raises:
            StoreError: it was the last one that could be, or the failure is not that of one master.
        """
        try:
            done = await self._maps.cleanup_step(prefix, job.step(name))
        except OF_ONE_MASTER as error:
            found.left_out[prefix] = error.kind
            if len(found.left_out) == len(self._maps.layout.prefixes):
                raise
            return False
        found.removed[name] += done.removed
        found.after[name, prefix] = done.after
        return done.more

    def _publish(self, report: Report) -> None:
        self.reports.appendleft(report)
        if not report.dry_run:
            self.last = report
            self._metrics.count_cleanup(report)
        removed = {name: change.removed for name, change in report.maps.items()}
        remaining = {name: change.after for name, change in report.maps.items()}
        if report.trigger is not Trigger.PERIODIC or sum(removed.values()) > LOGGED_REMOVAL_ENTRIES:
            # Every five seconds signatures leave their window, which hides what somebody has to see.
            is_usual = report.trigger is Trigger.PERIODIC and removed.keys() == {MapName.SIGNATURES}
            (log.debug if is_usual else log.info)(
                "cleanup",
                trigger=report.trigger,
                mode=report.mode,
                dry_run=report.dry_run,
                removed=removed,
                remaining=remaining,
                duration_seconds=round(report.duration_seconds, 4),
                released_bytes=report.memory.released_bytes,
                **({"left_out": report.left_out} if report.left_out else {}),
            )
