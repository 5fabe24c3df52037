"""Counts for each source how often it was first, how far behind the first it was, and what came late.

Counted by this gate since its start, in constant memory: a source's delays go into histograms. What came late
(accepted anew, as its window had passed) and what a source missed are estimates from a sample
(sampled_transactions.py).
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from app.decode.columns import Answers, Columns, count_outcomes
from app.ingest.delay_histogram import DelayHistogram
from app.ingest.recommended_window import recommended_window_seconds
from app.ingest.sampled_transactions import Fresh, Waiting
from app.ingest.source_counts import SourceCounts, SourceTotals
from app.ingest.source_views import Ages, Delays, Late, Part, SourcesView, SourceView
from app.metrics.catalogue import NAMESPACE
from app.metrics.families import counter, gauge, single
from app.metrics.source_limit import OTHER_SOURCE
from app.models import ACCEPTED, FAILED, REFUSED, SampledTransaction

METRIC_BOUNDS_MS = (1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000)
_EXPORTED_BOUNDS = tuple(str(bound / 1000) for bound in METRIC_BOUNDS_MS)
SILENT_MS = 60_000
NEAR_WINDOW = 0.8  # a duplicate that came after more than this share of the window nearly came too late


class SourceStatistics(Collector):
    """Counts what each source delivered, under the name that `SourceLimit.label` gives it."""

    def __init__(
        self,
        name_of: Callable[[str], str],
        window_seconds: Callable[[], float],
        wall_ms: Callable[[], float] = lambda: time.time() * 1000,
    ) -> None:
        self.name_of = name_of
        """The name that a source is counted under."""
        self._window_seconds = window_seconds
        self._wall_ms = wall_ms
        self.fresh, self.waiting = Fresh(), Waiting()
        """What of the sample is yet to be looked up, by late_duplicates.py and by source_misses.py."""
        self._sources: dict[str, SourceCounts] = {OTHER_SOURCE: SourceCounts()}
        self._since_ms = int(wall_ms())

    def note_flush(self, columns: Columns, answers: Answers) -> Mapping[tuple[str, int], int]:
        """Count the outcomes of a flush, and return how often each source got each code.

        The highest slot of each source is noted of transactions that were stored. A flush in which some were
        not is rare and left out as a whole: it is not worth sorting out the slots of the others.
        """
        counts = count_outcomes(columns.sources, answers.codes)
        self.note(counts, max(answers.clocks))
        if REFUSED not in answers.codes and not answers.errors and any(columns.slots):
            self.note_slots(columns.sources, columns.slots)
        return counts

    def note(self, counts: Mapping[tuple[str, int], int], now_ms: int) -> None:
        """Count the outcome of one flush: how often each source got each code (see `Answers`)."""
        has_others = any(code != ACCEPTED for _, code in counts)
        near_ms = NEAR_WINDOW * 1000 * self._window_seconds() if has_others else 0.0
        for (name, code), times in counts.items():
            if code in (REFUSED, FAILED):
                continue
            source = self._source(name)
            source.last_seen_ms = now_ms
            if code == ACCEPTED:
                source.accepted += times
            else:
                source.delays.observe(code - 1, times)
                source.near_window += times * (code - 1 > near_ms)

    def note_slots(self, sources: Sequence[str], slots: Sequence[int | None]) -> None:
        """Note the highest slot of each source, of the transactions of a flush."""
        if sources.count(sources[0]) == len(sources):
            sources, slots = sources[:1], [max(filter(None, slots), default=None)]
        for name, slot in zip(sources, slots, strict=True):
            if slot is not None:
                source = self._source(name)
                source.highest_slot = max(source.highest_slot, slot)

    def note_samples(self, samples: Iterable[SampledTransaction], one_in: int, times: float = 1.0) -> None:
        """Count samples that were looked up; each stands for `times` of the sample, one in `one_in`."""
        for sample in samples:
            source = self._source(sample.source)
            source.sampled += times
            if sample.late_ms is not None:
                source.late += times
                source.late_found += 1
                source.late_ages.observe(sample.late_ms, round(times * one_in))
            else:  # of a late duplicate it is too late to find out who delivered it when it was new
                self.waiting.add(sample, times)

    def note_looked_up(self, name: str, seen_ms: int, shared: float, solo: float, missed: float) -> None:
        """Add estimates: what a source and others delivered, what it alone delivered, what it missed."""
        source = self._source(name)
        source.last_seen_ms = max(source.last_seen_ms, seen_ms)
        source.shared += shared
        source.solo += solo
        source.missed += missed

    def view(self) -> SourcesView:
        """Return all sources, as `GET /sources` shows them."""
        seen = self._seen()
        total, now_ms = sum(source.firsts for source in seen.values()) or 1, self._wall_ms()
        accepted = sum(source.accepted for source in seen.values())
        views = [_view(name, source, total, accepted, now_ms) for name, source in seen.items()]
        return SourcesView(
            since_ms=self._since_ms,
            recommended_window_seconds=self.recommended_window_seconds(),
            sources=sorted(views, key=lambda view: (-view.first_share, view.source)),
        )

    def recommended_window_seconds(self, least_late: int = 0) -> float | None:
        """Return the window that what came again asks for, duplicates and late duplicates of all sources.

        None if nothing came again, or fewer than `least_late` late duplicates were found in the sample.
        """
        seen = self._seen().values()
        if sum(source.late_found for source in seen) < least_late:
            return None
        again = chain.from_iterable((source.delays, source.late_ages) for source in seen)
        return recommended_window_seconds(DelayHistogram.merged(again))

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics that are made of these statistics (prometheus_client)."""
        yield self._delay_family()
        yield from self._late_families()
        missed = counter("source_missed", "What others delivered and the source did not, estimated", "source")
        solo = counter("source_solo", "What the source alone delivered, estimated", "source")
        near = counter(
            "source_near_window", "Duplicates that came after more than 80 % of the window", "source"
        )
        for name, source in self._sources.items():
            missed.add_metric([name], source.missed)
            solo.add_metric([name], source.solo)
            near.add_metric([name], source.near_window)
        seen = gauge(
            "source_last_seen_timestamp_seconds",
            "When a source was seen last, seconds since the epoch",
            "source",
        )
        for name, source in self._seen().items():
            seen.add_metric([name], source.last_seen_ms / 1000)
        yield from (missed, solo, near, seen)

    def _delay_family(self) -> Metric:
        family = HistogramMetricFamily(
            f"{NAMESPACE}_source_delay_seconds",
            "How far behind the first a source's duplicates were, seconds",
            labels=["source"],
        )
        for name, source in self._sources.items():
            family.add_metric([name], *_exported(source.delays))
        return family

    def _late_families(self) -> Iterable[Metric]:
        late = counter("late_duplicates", "Accepted anew after the window, estimated by a sample", "source")
        for name, source in self._sources.items():
            late.add_metric([name], source.late_ages.count)
        yield late
        ages = DelayHistogram.merged(source.late_ages for source in self._sources.values())
        family = HistogramMetricFamily(
            f"{NAMESPACE}_late_duplicate_age_seconds",
            "How long late duplicates had been accepted before, estimated by a sample, seconds",
        )
        family.add_metric([], *_exported(ages))
        yield family
        yield from single(
            "recommended_window_seconds",
            "The window that covers 99.9 % of what came again, seconds",
            self.recommended_window_seconds(),
        )

    def totals(self) -> dict[str, SourceTotals]:
        """Return of each source seen what was counted, which `grow` of another adds."""
        return {name: source.totals() for name, source in self._seen().items()}

    def grow(self, name: str, more: SourceTotals) -> None:
        """Add what another has counted of a source."""
        self._source(name).grow(more)

    def last_seen_ms(self, name: str) -> int:
        """Return when something of a source was last taken, by the store's clock; 0 if nothing was."""
        found = self._sources.get(name)
        return found.last_seen_ms if found else 0

    def _seen(self) -> dict[str, SourceCounts]:
        return {name: source for name, source in self._sources.items() if source.last_seen_ms}

    def _source(self, name: str) -> SourceCounts:
        name = self.name_of(name)
        found = self._sources.get(name)
        if found is None:
            found = self._sources[name] = SourceCounts()
        return found


def _exported(delays: DelayHistogram) -> tuple[list[tuple[str, float]], float]:
    """Return the buckets of a histogram and its sum, in seconds, as the exposition has them."""
    buckets = list(zip(_EXPORTED_BOUNDS, map(float, delays.up_to(METRIC_BOUNDS_MS)), strict=True))
    return [*buckets, ("+Inf", delays.count)], delays.sum / 1000


def _view(name: str, source: SourceCounts, total_firsts: float, accepted: int, now_ms: float) -> SourceView:
    """Return a source as `GET /sources` shows it; all of them had so many `accepted`.

    One of the sample counts for 16, though only 4 may have been delivered so far.
    """
    delays, ages = source.delays, source.late_ages
    return SourceView(
        source=name,
        accepted=source.accepted,
        duplicate=delays.count,
        first_share=source.firsts / total_firsts,
        delay_ms=Delays(**{f"p{percent}": delays.quantile(percent / 100) for percent in (50, 95, 99)})
        if delays.count
        else None,
        late=Late(
            count=min(ages.count, source.accepted),
            share=source.late_share,
            age_ms=Ages(p50=ages.quantile(0.5), p99=ages.quantile(0.99)),
        )
        if ages.count
        else None,
        missed=_part(source.missed, source.missed + source.shared, accepted - source.accepted),
        # What nobody else delivered was accepted from it; what it missed was accepted from others.
        solo=_part(source.solo, source.solo + source.shared, source.accepted),
        highest_slot=source.highest_slot if source.highest_slot >= 0 else None,
        last_seen_ms=source.last_seen_ms,
        silent_since_ms=source.last_seen_ms if now_ms - source.last_seen_ms >= SILENT_MS else None,
    )


def _part(amount: float, whole: float, most: int) -> Part | None:
    return Part(count=min(round(amount), most), share=amount / whole) if whole else None
