"""Counts delays in constant memory, and says which delay so many of them did not pass."""

from collections.abc import Iterable
from itertools import accumulate
from typing import Self

from app.metrics.counters import Distribution

_STEPS = (10, 11, 12, 13, 15, 17, 20, 22, 25, 28, 30, 35, 40, 45, 50, 60, 70, 80, 90)
_DECADES = 6
# Upper bounds in milliseconds: every one up to ten, then nineteen a decade up to an hour and more.
BOUNDS_MS = (*range(10), *(step * 10**decade for decade in range(_DECADES) for step in _STEPS))
_PLACES = {bound: place for place, bound in enumerate(BOUNDS_MS)}


class DelayHistogram(Distribution):
    """Delays in whole milliseconds, counted between fixed bounds."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(BOUNDS_MS)

    @property
    def count(self) -> int:
        """Return how many delays were counted."""
        return sum(self._counts)

    @classmethod
    def merged(cls, histograms: Iterable[Self]) -> Self:
        """Return one with the delays of all of these; bucket by bucket, since there may be 2,048 of them."""
        whole = cls()
        numbers = [whole.numbers, *(one.numbers for one in histograms)]
        whole.grow([sum(column) for column in zip(*numbers, strict=True)])
        return whole

    def up_to(self, bounds_ms: Iterable[int]) -> list[int]:
        """Return for each of these bounds, which are in `BOUNDS_MS`, how many delays were no longer."""
        passed = list(accumulate(self._counts))
        return [passed[_PLACES[bound]] for bound in bounds_ms]

    def quantile(self, share: float) -> float:
        """Return the delay in milliseconds that this share did not pass, exact below 10 ms, else to 18 %."""
        at, within = self._place(share)
        return _between(at, within) if self.count else 0.0

    def bound(self, share: float) -> int:
        """Return the least of `BOUNDS_MS` that this share did not pass, or the last of them."""
        at, _ = self._place(share)
        return int(BOUNDS_MS[min(at, len(BOUNDS_MS) - 1)])

    def _place(self, share: float) -> tuple[int, float]:
        """Return in which bucket the delay lies that this share did not pass, and how far into it."""
        rank, passed = share * self.count, 0
        for at, amount in enumerate(self._counts):
            if amount and passed + amount >= rank:
                return at, (rank - passed) / amount
            passed += amount
        return 0, 0.0


def _between(at: int, share: float) -> float:
    """Return the delay at this share of a bucket; of one that is a millisecond wide, its upper bound."""
    upper = BOUNDS_MS[min(at, len(BOUNDS_MS) - 1)]
    lower = BOUNDS_MS[at - 1] if at else upper
    return float(upper) if upper - lower <= 1 else lower + (upper - lower) * share
