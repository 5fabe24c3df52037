"""A minute of readings of the counters, and the rates between them.

Of 1,000 accepted and 2,000 duplicates at 60.0 s, and 1,400 and 2,800 at 61.0 s, come 400 accepted and 800
duplicates a second.
"""

from collections import deque
from collections.abc import Mapping
from itertools import pairwise
from typing import Final, NamedTuple

from app.models import TransactionOutcome

KEPT_SECONDS: Final = 60.0
RATE_SECONDS: Final = 5.0
"""Rates that are shown as figures are means of so many seconds, or they would be hard to read."""
# A reading is not made to the moment.
_SLACK_SECONDS: Final = 0.5
_TAKEN: Final = frozenset({TransactionOutcome.ACCEPTED, TransactionOutcome.DUPLICATE})


class Reading(NamedTuple):
    """The counters at one moment of the monotonic clock."""

    at_seconds: float
    outcomes: Mapping[TransactionOutcome, int]
    delivered: Mapping[str, int]
    """Transactions delivered by each source."""


class Readings:
    """The readings of the last minute."""

    def __init__(self) -> None:
        self._kept: deque[Reading] = deque(maxlen=int(2 * KEPT_SECONDS))

    def add(self, reading: Reading) -> None:
        """Keep one more, and forget those that are older than a minute."""
        self._kept.append(reading)
        while reading.at_seconds - self._kept[0].at_seconds > KEPT_SECONDS + _SLACK_SECONDS:
            self._kept.popleft()

    def rates(self) -> dict[str, float] | None:
        """Return the rates of the last seconds; None before there are two readings."""
        first, last = self._ends()
        return _rates(first, last) if first is not last else None

    def per_second(self, source: str) -> float | None:
        """Return what a source delivered a second; None before there are two readings."""
        first, last = self._ends()
        if first is last:
            return None
        delivered = last.delivered.get(source, 0) - first.delivered.get(source, 0)
        return delivered / (last.at_seconds - first.at_seconds)

    def past(self) -> list[tuple[float, dict[str, float]]]:
        """Return the age in seconds and the rates of each reading but the first, the oldest first."""
        last = self._kept[-1]
        return [
            (last.at_seconds - later.at_seconds, _rates(earlier, later))
            for earlier, later in pairwise(self._kept)
        ]

    def _ends(self) -> tuple[Reading, Reading]:
        """Return the latest reading, and before it the one that rates are reckoned from."""
        last = self._kept[-1]
        recent = (
            one for one in self._kept if last.at_seconds - one.at_seconds <= RATE_SECONDS + _SLACK_SECONDS
        )
        first = next(recent)
        if first is last and len(self._kept) > 1:
            return self._kept[-2], last
        return first, last


def _rates(first: Reading, last: Reading) -> dict[str, float]:
    """Return the rates by the names that the figures of the live page have."""
    seconds = last.at_seconds - first.at_seconds
    grown = {name: (last.outcomes[name] - first.outcomes[name]) / seconds for name in TransactionOutcome}
    return {
        **{str(name): grown[name] for name in _TAKEN},
        "not_taken": sum(grown[name] for name in TransactionOutcome if name not in _TAKEN),
    }
