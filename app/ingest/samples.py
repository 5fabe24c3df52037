"""The sampled ones of the transactions that were accepted, until it is known which sources delivered them.

One in TIDEGATE_LATE_SAMPLE signatures is in the sample, chosen by its hash, so that every source, gate and
worker has the same ones. A sample stands for that many transactions: what is counted by it is an estimate.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterator

from app.models import Sample

MOST_A_SECOND = 16
# Longer than anybody waits before they are looked up (see coverage.py).
MOST_SECONDS = 90


class _Second:
    """Samples of one second, at most `MOST_A_SECOND`, and how many there were."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.seen = 0
        self.kept: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Keep each of those seen with the same chance (reservoir sampling, Vitter 1985, algorithm R)."""
        self.seen += 1
        if len(self.kept) < MOST_A_SECOND:
            self.kept.append(sample)
        elif (at := random.randrange(self.seen)) < MOST_A_SECOND:  # noqa: S311  no secret
            self.kept[at] = sample


class Waiting:
    """Samples that are to be looked up later, in bounded memory: 16 of a second, and 90 seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: deque[_Second] = deque(maxlen=MOST_SECONDS)

    def add(self, sample: Sample) -> None:
        """Take a sample that was accepted now."""
        number = int(self._clock())
        if not self._seconds or self._seconds[-1].number != number:
            self._seconds.append(_Second(number))
        self._seconds[-1].add(sample)

    def take(self, age_seconds: float) -> Iterator[tuple[list[Sample], float]]:
        """Yield and forget those of each second that is older than this, in the order of acceptance.

        With them comes how many of the samples of that second each one stands for.
        """
        until = self._clock() - age_seconds - 1
        while self._seconds and self._seconds[0].number < until:
            second = self._seconds.popleft()
            yield sorted(second.kept, key=lambda sample: sample.accepted_ms), second.seen / len(second.kept)
