"""Counts for each source how often it was first, and how far behind the first it was, for `GET /sources`.

Counted by this gate since its start, in constant memory: a source's delays go into a histogram.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress, islice, pairwise
from operator import ne

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import Field

from app.decode.columns import count_values
from app.metrics.catalogue import NAMESPACE
from app.metrics.counters import Distribution
from app.metrics.source_limit import OTHER_SOURCE
from app.models import ACCEPTED, REFUSED, Shape

_STEPS = (10, 11, 12, 13, 15, 17, 20, 22, 25, 28, 30, 35, 40, 45, 50, 60, 70, 80, 90)
_DECADES = 6
# Upper bounds in milliseconds: every one up to ten, then nineteen a decade up to an hour and more.
BOUNDS_MS = (*range(10), *(step * 10**decade for decade in range(_DECADES) for step in _STEPS))
_SHORT_STRETCH = 16
METRIC_BOUNDS_MS = (1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000)


class Delays(Shape):
    """Milliseconds behind the first: half of the duplicates were no later than p50, and so on."""

    p50: float
    p95: float
    p99: float


class SourceView(Shape):
    """One source, as this gate saw it since it started."""

    source: str
    accepted: int = Field(description="Transactions it delivered first.")
    duplicate: int = Field(description="Transactions it delivered after somebody, itself included.")
    first_share: float = Field(description="Of all transactions accepted, the share it delivered first.")
    delay_ms: Delays | None = Field(description="How far behind the first its duplicates were; null without.")
    last_seen_ms: int = Field(description="Milliseconds since the epoch, by the store's clock.")


class SourcesView(Shape):
    """Every source, the one that was first most often first; those past TIDEGATE_MAX_SOURCES as `other`."""

    since_ms: int = Field(description="When this gate began to count, milliseconds since the epoch.")
    sources: list[SourceView]


class DelayHistogram(Distribution):
    """Delays in whole milliseconds, counted between fixed bounds."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(BOUNDS_MS)

    @property
    def count(self) -> int:
        """Return how many delays were counted."""
        return sum(self._counts)

    def up_to(self, bound_ms: int) -> int:
        """Return how many were no longer than this, one of `BOUNDS_MS`."""
        return sum(self._counts[: BOUNDS_MS.index(bound_ms) + 1])

    def quantile(self, share: float) -> float:
        """Return the delay in milliseconds that this share did not pass, exact below 10 ms, else to 18 %."""
        rank, passed = share * self.count, 0
        for at, amount in enumerate(self._counts):
            if amount and passed + amount >= rank:
                return _between(at, (rank - passed) / amount)
            passed += amount
        return 0.0


def _between(at: int, share: float) -> float:
    """Return the delay at this share of a bucket; of one that is a millisecond wide, its upper bound."""
    upper = BOUNDS_MS[min(at, len(BOUNDS_MS) - 1)]
    lower = BOUNDS_MS[at - 1] if at else upper
    return float(upper) if upper - lower <= 1 else lower + (upper - lower) * share


class _Source:
    def __init__(self) -> None:
        self.accepted = 0
        self.last_seen_ms = 0
        self.delays = DelayHistogram()


class SourceStatistics(Collector):
    """Counts what each source delivered, under the name that `SourceLimit.label` gives it."""

    def __init__(self, name_of: Callable[[str], str]) -> None:
        self._name_of = name_of
        self._sources: dict[str, _Source] = {OTHER_SOURCE: _Source()}
        self._since_ms = int(time.time() * 1000)

    def note(self, counts: Mapping[tuple[str, int], int], now_ms: int) -> None:
        """Count the outcome of one flush: how often each source got each code (see `Answers`)."""
        for (name, code), times in counts.items():
            if code == REFUSED:
                continue
            source = self._source(name)
            source.last_seen_ms = now_ms
            if code == ACCEPTED:
                source.accepted += times
            else:
                source.delays.observe(code - 1, times)

    def view(self) -> SourcesView:
        """Return all sources, as `GET /sources` shows them."""
        total = sum(source.accepted for source in self._sources.values()) or 1
        seen = ((name, source) for name, source in self._sources.items() if source.last_seen_ms)
        views = [_view(name, source, total) for name, source in seen]
        return SourcesView(
            since_ms=self._since_ms, sources=sorted(views, key=lambda view: (-view.accepted, view.source))
        )

    def collect(self) -> Iterable[Metric]:
        """Yield the delays as a histogram for Prometheus."""
        family = HistogramMetricFamily(
            f"{NAMESPACE}_source_delay_seconds",
            "How far behind the first a source's duplicates were, seconds",
            labels=["source"],
        )
        for name, source in self._sources.items():
            delays = source.delays
            buckets = [(str(bound / 1000), float(delays.up_to(bound))) for bound in METRIC_BOUNDS_MS]
            family.add_metric([name], [*buckets, ("+Inf", delays.count)], delays.sum / 1000)
        yield family

    def totals(self) -> dict[str, tuple[int, list[float]]]:
        """Return of each source seen when it was last, and its numbers, which `grow` of another adds."""
        return {
            name: (source.last_seen_ms, [source.accepted, *source.delays.numbers])
            for name, source in self._sources.items()
            if source.last_seen_ms
        }

    def grow(self, name: str, last_seen_ms: int, numbers: Sequence[float]) -> None:
        """Add what another has counted of a source."""
        source = self._source(name)
        source.last_seen_ms = max(source.last_seen_ms, last_seen_ms)
        source.accepted += int(numbers[0])
        source.delays.grow(numbers[1:])

    def _source(self, name: str) -> _Source:
        name = self._name_of(name)
        found = self._sources.get(name)
        if found is None:
            found = self._sources[name] = _Source()
        return found


def _view(name: str, source: _Source, total_accepted: int) -> SourceView:
    delays = source.delays
    return SourceView(
        source=name,
        accepted=source.accepted,
        duplicate=delays.count,
        first_share=source.accepted / total_accepted,
        delay_ms=Delays(**{f"p{percent}": delays.quantile(percent / 100) for percent in (50, 95, 99)})
        if delays.count
        else None,
        last_seen_ms=source.last_seen_ms,
    )


def count_outcomes(sources: Sequence[str], codes: Sequence[int]) -> Mapping[tuple[str, int], int]:
    """Return how often each source got each code (see `Answers`), of the transactions of a flush."""
    first, count = sources[0], len(sources)
    if sources.count(first) == count:
        return {(first, code): times for code, times in count_values(codes).items()}
    # Counting pairs takes ten times as long as counting codes, so that it is worth finding stretches of one
    # source, such as a request of 500.
    borders = list(compress(range(1, count), map(ne, sources, islice(sources, 1, None))))
    if len(borders) > count // _SHORT_STRETCH:
        return Counter(zip(sources, codes, strict=True))
    counts: Counter[tuple[str, int]] = Counter()
    for start, end in pairwise([0, *borders, count]):
        for code, times in count_values(codes[start:end]).items():
            counts[sources[start], code] += times
    return counts
