"""Keeps accepted transactions of the sample until they are looked up to find out who delivered them.

One in TIDEGATE_LATE_SAMPLE signatures is in the sample, chosen by its hash, so that every source, gate and
worker has the same ones. Each stands for that many transactions: what is counted by them is an estimate.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterator

from app.models import Sample

MOST_A_SECOND = 16
# They are looked up after a minute at most (coverage.py).
MOST_SECONDS = 90


class _Second:
    """What was accepted in one second: `MOST_A_SECOND` of them, picked by chance, and how many there were."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.seen = 0
        self.kept: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Keep each one seen with the same chance (reservoir sampling, Vitter 1985, algorithm R)."""
        self.seen += 1
        if len(self.kept) < MOST_A_SECOND:
            self.kept.append(sample)
        elif (at := random.randrange(self.seen)) < MOST_A_SECOND:  # noqa: S311  no secret
            self.kept[at] = sample


class Waiting:
    """Transactions that are to be looked up later, in bounded memory: 16 of a second, of 90 seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: deque[_Second] = deque(maxlen=MOST_SECONDS)

    def add(self, sample: Sample) -> None:
        """Add a transaction that was accepted now."""
        number = int(self._clock())
        if not self._seconds or self._seconds[-1].number != number:
            self._seconds.append(_Second(number))
        self._seconds[-1].add(sample)

    def take(self, age_seconds: float) -> Iterator[tuple[list[Sample], float]]:
        """Yield and forget the transactions of each second that is older than this, as they were accepted.

        With them comes how many of the sample each stands for: 2.5 if 16 were kept of 40 in that second.
        """
        until = self._clock() - age_seconds - 1
        while self._seconds and self._seconds[0].number < until:
            second = self._seconds.popleft()
            yield sorted(second.kept, key=lambda sample: sample.accepted_ms), second.seen / len(second.kept)
