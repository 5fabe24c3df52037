"""Puts together what the live page shows: about once a second for all who look, and never for nobody."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from app.auth import Access
from app.cleanup.run import Cleanup
from app.guard.guard import Guard
from app.guard.memory_view import StoreView
from app.ingest.source_statistics import SourceStatistics
from app.models import Report, TransactionOutcome, Trigger
from app.observability.consumer_metrics import ConsumersCollector
from app.observability.gate_state import GateReadiness
from app.observability.stats import ProcessStats, ServiceStats
from app.process.shared_task import SharedTask
from app.store.latest_figures import Sizes
from app.web.figures_document import (
    LiveConsumer,
    LiveFigures,
    LiveSource,
    MemoryPoint,
    PastRates,
    Rates,
    WatchedProcess,
)
from app.web.rates import Reading, Readings

FRESH_SECONDS: Final = 0.8
"""Figures that are younger are given to whoever asks; events are due a little less often."""
MOST_ROWS: Final = 32
MOST_ASKED: Final = 6
MOST_BY_TIMER: Final = 2
MEMORY_SECONDS: Final = 3600.0


@dataclass
class Board:
    """Reads the figures of all parts, when somebody asks."""

    stats: ServiceStats
    sizes: Sizes
    readiness: Callable[[], GateReadiness]
    sources: SourceStatistics
    consumers: ConsumersCollector
    guard: Guard
    cleanup: Cleanup
    access: Access
    _readings: Readings = field(default_factory=Readings, init=False)
    _latest: LiveFigures | None = field(default=None, init=False)
    _taken_seconds: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._reading = SharedTask(self._read)

    async def figures(self) -> LiveFigures:
        """Return the figures, a second old at most; callers at the same time share one reading."""
        if self._latest is not None and time.monotonic() - self._taken_seconds < FRESH_SECONDS:
            return self._latest
        return await self._reading.result()

    async def document(self) -> dict[str, Any]:
        """Return the figures as `GET /page/figures` has them."""
        return (await self.figures()).model_dump(mode="json")

    async def _read(self) -> LiveFigures:
        await self.stats.refresh()
        self._taken_seconds = time.monotonic()
        self._latest = self._put_together()
        return self._latest

    def _put_together(self) -> LiveFigures:
        stats, sources, readiness = self.stats.stats(), self.sources.view().sources, self.readiness()
        outcomes = {name: getattr(stats.ingest, name) for name in TransactionOutcome}
        delivered = {source.source: source.accepted + source.duplicate for source in sources}
        self._readings.add(Reading(self._taken_seconds, outcomes, delivered))
        grown, consumers, store = self._readings.rates(), self.consumers.latest, self.sizes.store
        rates = Rates(**grown) if grown else None
        return LiveFigures(
            taken_ms=time.time_ns() // 1_000_000,
            state=readiness.state,
            reasons=readiness.reasons,
            warnings=stats.warnings,
            stats=stats,
            rates=rates,
            duplicate_share=_duplicate_share(rates),
            past_rates=[PastRates(age_seconds=age, **past) for age, past in self._readings.past()],
            past_memory=list(self._past_memory()),
            store=StoreView.model_validate(store, from_attributes=True) if store else None,
            processes=list(self._processes(stats.memory.processes)),
            sources=[
                LiveSource(**source.model_dump(), per_second=self._readings.per_second(source.source))
                for source in sources[:MOST_ROWS]
            ],
            source_count=len(sources),
            consumers=[
                LiveConsumer.model_validate(one, from_attributes=True)
                for one in sorted(consumers, key=lambda one: -one.lag_transactions)[:MOST_ROWS]
            ],
            consumer_count=len(consumers),
            cleanups=self._cleanups(),
            needs_admin_token=not self.access.admin.is_open,
        )

    def _past_memory(self) -> Iterator[MemoryPoint]:
        now_seconds, latest = self.guard.clock.monotonic(), self.guard.latest
        for reading in (*self.guard.readings, *([latest] if latest else [])):
            age_seconds = now_seconds - reading.at_seconds
            if age_seconds <= MEMORY_SECONDS:
                rss_bytes = {name: process.rss_bytes for name, process in reading.processes.items()}
                yield MemoryPoint(age_seconds=age_seconds, rss_bytes=rss_bytes)

    def _processes(self, processes: list[ProcessStats]) -> Iterator[WatchedProcess]:
        watched = self.guard.status.processes
        for process in processes:
            if (status := watched.get(process.name)) is not None:
                yield WatchedProcess(
                    name=process.name,
                    rss_bytes=process.rss_bytes,
                    growth_bytes=status.growth_bytes,
                    slope_bytes_per_hour=status.slope_bytes_per_hour,
                    state=status.state,
                )

    def _cleanups(self) -> list[Report]:
        """Return the latest cleanups that somebody or something asked for, and the timer's latest."""
        asked, by_timer = list[Report](), list[Report]()
        for report in self.cleanup.reports:
            is_periodic = report.trigger is Trigger.PERIODIC
            (by_timer if is_periodic else asked).append(report)
        removing = (report for report in by_timer if any(one.removed for one in report.maps.values()))
        shown = [*asked[:MOST_ASKED], *islice(removing, MOST_BY_TIMER)]
        return sorted(shown, key=lambda report: -report.started_ms)


def _duplicate_share(rates: Rates | None) -> float | None:
    taken = rates.accepted + rates.duplicate if rates else 0.0
    return rates.duplicate / taken if rates and taken else None
