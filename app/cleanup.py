"""One `run(trigger, mode, maps, dry_run)` for the timer, the operator and all else that cleans up."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

import structlog

from app.errors import StoreError
from app.metrics import Metrics
from app.models import MapName, MapRemoval, MemoryChange, Mode, Reason, Report, Trigger
from app.store.maps import Maps, Order

log = structlog.get_logger()

ALL_MAPS = frozenset(MapName)
REPORTS_KEPT = 50
BUCKETS_A_STEP = 8
LOGGED_REMOVAL_ENTRIES = 100

Key = tuple[Trigger, Mode, frozenset[MapName], bool]


class Cleanup:
    """Removes what is past retention, whole buckets in bounded steps; keeps the last reports."""

    def __init__(
        self,
        maps: Maps,
        metrics: Metrics,
        resident_bytes: Callable[[], int],
    ) -> None:
        self._maps = maps
        self._metrics = metrics
        self._resident_bytes = resident_bytes
        self._one_at_a_time = asyncio.Lock()
        self._running: dict[Key, asyncio.Task[Report]] = {}
        self.reports: deque[Report] = deque(maxlen=REPORTS_KEPT)
        self.last: Report | None = None

    async def run(
        self,
        trigger: Trigger,
        mode: Mode = Mode.NORMAL,
        maps: frozenset[MapName] = ALL_MAPS,
        dry_run: bool = False,
    ) -> Report:
        """Clean up and report; calls that ask the same at the same time share one run.

        Raises:
            StoreError: the store failed; what was removed before stays counted.
        """
        key = (trigger, mode, maps, dry_run)
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._exclusive(*key))
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)

    async def _exclusive(
        self, trigger: Trigger, mode: Mode, maps: frozenset[MapName], dry_run: bool
    ) -> Report:
        async with self._one_at_a_time:
            try:
                with self._metrics.cleanup_duration_seconds.labels(mode).time():
                    report = await self._measured(trigger, mode, maps, dry_run)
            except StoreError as error:
                self._metrics.cleanup_runs_total.labels(trigger, mode, "failure").inc()
                if trigger is not Trigger.PERIODIC:
                    log.warning("cleanup failed", trigger=trigger, mode=mode, error=str(error))
                raise
        self._publish(report)
        return report

    async def _measured(
        self, trigger: Trigger, mode: Mode, maps: frozenset[MapName], dry_run: bool
    ) -> Report:
        started_ms, started, before_bytes = int(time.time() * 1000), time.monotonic(), self._resident_bytes()
        removals = {
            name: await self._clean_map(name, trigger, mode, dry_run) for name in MapName if name in maps
        }
        after_bytes = self._resident_bytes()
        return Report(
            trigger=trigger,
            mode=mode,
            dry_run=dry_run,
            started_ms=started_ms,
            duration_seconds=time.monotonic() - started,
            maps=removals,
            memory=MemoryChange(
                before_bytes=before_bytes, after_bytes=after_bytes, released_bytes=before_bytes - after_bytes
            ),
        )

    async def _clean_map(self, name: MapName, trigger: Trigger, mode: Mode, dry_run: bool) -> MapRemoval:
        order = Order(
            name,
            mode is Mode.EMERGENCY,
            _reason(trigger, mode),
            BUCKETS_A_STEP,
            dry_run,
            periodic=trigger is Trigger.PERIODIC,
        )
        removed = after = 0
        for prefix in self._maps.layout.prefixes:
            more = True
            while more:
                step = await self._maps.cleanup_step(prefix, order)
                removed, more = removed + step.removed, step.more
            after += step.after
        return MapRemoval(before=removed + after, removed=removed, after=after)

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


def _reason(trigger: Trigger, mode: Mode) -> Reason:
    if mode is Mode.EMERGENCY:
        return Reason.EMERGENCY
    return Reason.MANUAL if trigger is Trigger.MANUAL else Reason.EXPIRED
