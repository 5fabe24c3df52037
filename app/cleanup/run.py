"""One `run(trigger, mode, maps, dry_run)` for the timer, the operator and all else that cleans up."""

import asyncio
import itertools
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from app.errors import StoreError
from app.metrics.catalogue import Metrics
from app.models import MapName, MapRemoval, MemoryChange, Mode, Reason, Report, Trigger
from app.store.maps import Maps, Order, Severity

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
        """How much goes."""
        if self.mode is Mode.NORMAL:
            return Severity.NORMAL
        return Severity.SHED if self.shed else Severity.EMERGENCY

    @property
    def gives_back(self) -> bool:
        """Whether it is for the memory's sake."""
        return self.mode is Mode.EMERGENCY and not self.dry_run

    @property
    def pause_seconds(self) -> float:
        """Between two steps, for ingest to have the store to itself; none while ingest is refused."""
        return EMERGENCY_PAUSE_SECONDS if self.gives_back and not self.shed else 0

    def order(self, name: MapName) -> Order:
        """One step on one map."""
        most = EMERGENCY_BUCKETS_A_STEP if self.gives_back else BUCKETS_A_STEP
        is_periodic = self.trigger is Trigger.PERIODIC
        return Order(name, self.severity, self.reason, most, self.dry_run, is_periodic)

    @property
    def reason(self) -> Reason:
        """Under what a removal is counted."""
        if self.mode is Mode.EMERGENCY:
            return Reason.EMERGENCY
        return Reason.MANUAL if self.trigger is Trigger.MANUAL else Reason.EXPIRED


class Cleanup:
    """Removes what is past retention, whole buckets in bounded steps; keeps the last reports.

    An emergency cleanup takes one bucket of each map a step and pauses for ingest. Every few steps
    `give_back` makes the store return what was freed, which stops it for as long as there is much to return.
    """

    def __init__(
        self,
        maps: Maps,
        metrics: Metrics,
        resident_bytes: Callable[[], int],
        give_back: Callable[[], Awaitable[None]],
    ) -> None:
        self._maps = maps
        self._metrics = metrics
        self._resident_bytes = resident_bytes
        self._give_back = give_back
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

    async def _exclusive(self, job: Job) -> Report:
        async with self._one_at_a_time:
            try:
                with self._metrics.cleanup_duration_seconds.labels(job.mode).time():
                    report = await self._measured(job)
            except StoreError as error:
                self._metrics.cleanup_runs_total.labels(job.trigger, job.mode, "failure").inc()
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
        """A step of every map in turn, until none has more: what came together lies and leaves together."""
        removed: Counter[MapName] = Counter()
        after: dict[tuple[MapName, str], int] = {}
        prefixes = self._maps.layout.prefixes
        unfinished = [(name, prefix) for name in MapName if name in job.maps for prefix in prefixes]
        for number in itertools.count(1):
            due, unfinished = unfinished, []
            for name, prefix in due:
                step = await self._maps.cleanup_step(prefix, job.order(name))
                removed[name] += step.removed
                after[name, prefix] = step.after
                if step.more:
                    unfinished.append((name, prefix))
            if job.gives_back and (not unfinished or number % STEPS_A_TRIM == 0):
                await self._give_back()
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
            self._metrics.cleanup_runs_total.labels(report.trigger, report.mode, "success").inc()
            self._metrics.cleanup_last_success_timestamp_seconds.labels(report.mode).set_to_current_time()
        removed = {name: change.removed for name, change in report.maps.items()}
        if report.trigger is not Trigger.PERIODIC or sum(removed.values()) > LOGGED_REMOVAL_ENTRIES:
            log.info(
                "cleanup",
                trigger=report.trigger,
                mode=report.mode,
                dry_run=report.dry_run,
                removed=removed,
                duration_seconds=round(report.duration_seconds, 4),
                released_bytes=report.memory.released_bytes,
            )
