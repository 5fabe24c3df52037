"""Keeps accepted transactions of the sample until they are looked up.

One in TIDEGATE_LATE_SAMPLE signatures is in the sample, chosen by its hash, so that every source, gate and
worker has the same ones. Each stands for that many transactions: what is counted by them is an estimate.

Within a second or two all are looked up, whether they are late duplicates (late.py). Those that are not wait
on, to find out who delivered them (coverage.py).
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from app.models import Sample

MOST_FRESH = 256
MOST_A_SECOND = 16
# They are looked up after a minute at most (coverage.py).
MOST_SECONDS = 90


class _Drawn:
    """Keeps at most so many of the samples that it sees, picked by chance."""

    def __init__(self, most: int) -> None:
        self._most, self._seen, self._amount = most, 0, 0.0
        self.kept: list[Sample] = []

    def add(self, sample: Sample, amount: float = 1.0) -> None:
        """Keep each one seen with the same chance (reservoir sampling, Vitter 1985, algorithm R)."""
        self._seen += 1
        self._amount += amount
        if len(self.kept) < self._most:
            self.kept.append(sample)
        elif (at := random.randrange(self._seen)) < self._most:  # noqa: S311  no secret
            self.kept[at] = sample

    @property
    def times(self) -> float:
        """Return how much of what was seen each one kept stands for: 2.5 if 16 were kept of 40."""
        return self._amount / len(self.kept)


class Fresh:
    """Transactions accepted since the last time they were looked up, in bounded memory: 256 of them."""

    def __init__(self) -> None:
        self._drawn = _Drawn(MOST_FRESH)

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._drawn.kept)

    def add(self, samples: Iterable[Sample]) -> None:
        """Add transactions that were accepted now."""
        for sample in samples:
            self._drawn.add(sample)

    def take(self) -> tuple[list[Sample], float]:
        """Return and forget at least one transaction, and how many of the sample each stands for."""
        drawn, self._drawn = self._drawn, _Drawn(MOST_FRESH)
        return drawn.kept, drawn.times


class Waiting:
    """Transactions that are to be looked up later, in bounded memory: 16 of a second, of 90 seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: deque[tuple[int, _Drawn]] = deque(maxlen=MOST_SECONDS)

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._seconds)

    def add(self, sample: Sample, amount: float = 1.0) -> None:
        """Add a transaction that was accepted lately, and stands for `amount` of the sample."""
        number = int(self._clock())
        if not self._seconds or self._seconds[-1][0] != number:
            self._seconds.append((number, _Drawn(MOST_A_SECOND)))
        self._seconds[-1][1].add(sample, amount)

    def take(self, age_seconds: float) -> Iterator[tuple[list[Sample], float]]:
        """Yield and forget the transactions of each second that is older than this, as they were accepted.

        With them comes how many of the sample each stands for.
        """
        until = self._clock() - age_seconds - 1
        while self._seconds and self._seconds[0][0] < until:
            _, drawn = self._seconds.popleft()
            yield sorted(drawn.kept, key=lambda sample: sample.accepted_ms), drawn.times
