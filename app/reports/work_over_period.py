"""What all gates did over a period: transactions by outcome, how long posts took, and cleanups."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from app.metrics.catalogue import SECONDS_BUCKETS
from app.models import TransactionOutcome
from app.reports.period import MINUTE_MS, Period
from app.reports.samples import Work

_OUTCOMES, _LATENCIES = len(TransactionOutcome), len(SECONDS_BUCKETS) + 1


@dataclass
class WorkDone:
    """What was done in the period, or in one block of it; `minutes` are those of which there is a sample."""

    transactions: list[int] = field(default_factory=lambda: [0] * _OUTCOMES)
    latencies: list[int] = field(default_factory=lambda: [0] * _LATENCIES)
    cleanups: int = 0
    cleanup_seconds: float = 0.0
    minutes: set[int] = field(default_factory=set)

    def add(self, minute: int, work: Work) -> None:
        """Take what one gate did in a minute."""
        self.minutes.add(minute)
        self.transactions = _sum(self.transactions, work.transactions)
        self.latencies = _sum(self.latencies, work.latencies)
        self.cleanups += work.cleanups
        self.cleanup_seconds += work.cleanup_seconds

    def a_second(self, *outcomes: TransactionOutcome) -> float:
        """Return how many transactions had one of these outcomes, a second."""
        by_outcome = dict(zip(TransactionOutcome, self.transactions, strict=True))
        return sum(by_outcome[outcome] for outcome in outcomes) / (60 * max(1, len(self.minutes)))

    def latency(self, share_below: float) -> float | None:
        """Return the seconds within which this share of the posts was answered; None without a post."""
        return quantile(share_below, self.latencies)

    @property
    def mean_cleanup_seconds(self) -> float | None:
        """Return how long a cleanup took; None without one."""
        return self.cleanup_seconds / self.cleanups if self.cleanups else None


class WorkFold:
    """Adds the work of all gates up, over the period and by its blocks."""

    def __init__(self, period: Period) -> None:
        self._period = period
        self._blocks: dict[int, WorkDone] = {}
        self.whole = WorkDone()

    def add(self, at_ms: int, work: Work) -> None:
        """Take the work of one sample within the period; not one of a version that counts other things."""
        if (len(work.transactions), len(work.latencies)) != (_OUTCOMES, _LATENCIES):
            return
        block = self._blocks.setdefault(self._period.block_of(at_ms), WorkDone())
        for done in (self.whole, block):
            done.add(at_ms // MINUTE_MS, work)

    def blocks(self) -> Iterator[tuple[int, WorkDone]]:
        """Yield the blocks of which something is known, each with the moment at which it begins."""
        for block in sorted(self._blocks):
            yield self._period.block_ms_of(block), self._blocks[block]


def quantile(share_below: float, counts: Sequence[int]) -> float | None:
    """Estimate a quantile in seconds from the counts of `SECONDS_BUCKETS`, evenly spread within a bucket.

    What is past the last bound counts as that bound, as in Prometheus' `histogram_quantile`.
    """
    total = sum(counts)
    if not total:
        return None
    rank = share_below * total
    bucket = next(at for at, up_to in enumerate(accumulate(counts)) if up_to >= rank and counts[at])
    if bucket == len(SECONDS_BUCKETS):
        return SECONDS_BUCKETS[-1]
    low = SECONDS_BUCKETS[bucket - 1] if bucket else 0.0
    below = sum(counts[:bucket])
    return low + (SECONDS_BUCKETS[bucket] - low) * max(0.0, rank - below) / counts[bucket]


def _sum(mine: Sequence[int], theirs: Sequence[int]) -> list[int]:
    return [one + other for one, other in zip(mine, theirs, strict=True)]
