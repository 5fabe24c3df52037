"""Cleans up: one `run(trigger, mode, maps, dry_run)` for the timer, the operator, an alert and the guard.

A run goes through the maps in bounded steps, so that ingest has its turn between two of them. Each step
removes whole buckets of what is past retention, eight of a map at most, or one in an emergency. For example,
an emergency cleanup with 12 buckets of transactions due takes 12 steps, 0.1 s apart; after each fourth, and
at the end, the service's own store returns to the system what was freed.
"""

import asyncio
import itertools
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

import structlog

from app.errors import StoreError
from app.metrics.catalogue import Metrics
from app.models import MapName, MapRemoval, MemoryChange, Mode, Reason, Report, Trigger
from app.store.cleanup_steps import CleanupStep, Severity
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
            StoreError: the store failed; what was removed before stays counted.
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
        removals = await self._clean(job)
        after_bytes = self._resident_bytes()
        return Report(
            trigger=job.trigger,
            mode=job.mode,
            dry_run=job.dry_run,
            started_ms=started_ms,
            duration_seconds=time.monotonic() - started,
            maps=removals,
            memory=MemoryChange(
                before_bytes=before_bytes, after_bytes=after_bytes, released_bytes=before_bytes - after_bytes
            ),
        )

    async def _clean(self, job: Job) -> dict[MapName, MapRemoval]:
        """Take a step of every map in turn until none has more: what came together leaves together."""
        removed: Counter[MapName] = Counter()
        after: dict[tuple[MapName, str], int] = {}
        prefixes = self._maps.serving_prefixes
        unfinished = [(name, prefix) for name in MapName if name in job.maps for prefix in prefixes]
        for number in itertools.count(1):
            due, unfinished = unfinished, []
            for name, prefix in due:
                done = await self._maps.cleanup_step(prefix, job.step(name))
                removed[name] += done.removed
                after[name, prefix] = done.after
                if done.more:
                    unfinished.append((name, prefix))
            if job.is_for_memory and (not unfinished or number % STEPS_A_TRIM == 0):
                await self.trim_store()
            if not unfinished:
                break
            await asyncio.sleep(job.pause_seconds)
        left = {name: sum(after[name, prefix] for prefix in prefixes) for name in MapName if name in job.maps}
        return {
            name: MapRemoval(before=removed[name] + rest, removed=removed[name], after=rest)
            for name, rest in left.items()
        }

    def _publish(self, report: Report) -> None:
        self.reports.appendleft(report)
        if not report.dry_run:
            self.last = report
            self._metrics.count_cleanup(report)
        removed = {name: change.removed for name, change in report.maps.items()}
        remaining = {name: change.after for name, change in report.maps.items()}
        if report.trigger is not Trigger.PERIODIC or sum(removed.values()) > LOGGED_REMOVAL_ENTRIES:
            log.info(
                "cleanup",
                trigger=report.trigger,
                mode=report.mode,
                dry_run=report.dry_run,
                removed=removed,
                remaining=remaining,
                duration_seconds=round(report.duration_seconds, 4),
                released_bytes=report.memory.released_bytes,
            )
