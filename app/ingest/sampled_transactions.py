"""Keeps accepted transactions of the sample until they are looked up.

One in TIDEGATE_LATE_SAMPLE signatures is in the sample, chosen by its hash, so that every source, gate and
worker has the same ones. Each stands for that many transactions: what is counted by them is an estimate.

Every five seconds those accepted since are looked up in one call, to find out whether they are late
duplicates (late_duplicates.py). Those that are not wait on, to find out who delivered them
(source_misses.py).
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from app.models import SampledTransaction
from app.settings.model import Settings

LEAST_LOOK_SECONDS, MOST_LOOK_SECONDS = 1.0, 5.0
MOST_FRESH = 256
MOST_A_SECOND = 8
# They are looked up after a minute and two looks at most (source_misses.py).
MOST_SECONDS = 90


def look_seconds(settings: Settings) -> float:
    """Return how often samples are looked up: sooner if what tells of them is kept for a short time."""
    kept = min(settings.transaction_retention_seconds, settings.observation_retention_seconds)
    return min(max(kept / 24, LEAST_LOOK_SECONDS), MOST_LOOK_SECONDS)


class _Drawn:
    """Keeps up to `most` of the samples that are added, picked by chance."""

    def __init__(self, most: int) -> None:
        self._most, self._seen, self._amount = most, 0, 0.0
        self.kept: list[SampledTransaction] = []

    def add(self, sample: SampledTransaction, amount: float = 1.0) -> None:
        """Keep each one seen with the same chance (reservoir sampling, Vitter 1985, algorithm R)."""
        self._seen += 1
        self._amount += amount
        if len(self.kept) < self._most:
            self.kept.append(sample)
        elif (at := random.randrange(self._seen)) < self._most:  # noqa: S311  no secret
            self.kept[at] = sample

    @property
    def times(self) -> float:
        """Return how much of what was seen each one kept stands for: 5 if 8 were kept of 40."""
        return self._amount / len(self.kept)


class Fresh:
    """Transactions accepted since the last time they were looked up, in bounded memory: 256 of them."""

    def __init__(self) -> None:
        self._drawn = _Drawn(MOST_FRESH)

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._drawn.kept)

    def add(self, samples: Iterable[SampledTransaction]) -> None:
        """Add transactions that were accepted now."""
        for sample in samples:
            self._drawn.add(sample)

    def take(self) -> tuple[list[SampledTransaction], float]:
        """Return and forget at least one transaction, and how many of the sample each stands for."""
        drawn, self._drawn = self._drawn, _Drawn(MOST_FRESH)
        return drawn.kept, drawn.times


class _Second(_Drawn):
    """What was accepted in one second of the store's clock, and when the last of it was added here."""

    def __init__(self, number: int) -> None:
        super().__init__(MOST_A_SECOND)
        self.number, self.added = number, 0.0


class Waiting:
    """Transactions that are to be looked up later, in bounded memory: 8 of a second, of 90 seconds.

    The second is that of the acceptance. They wait from when the last of it was added.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: deque[_Second] = deque(maxlen=MOST_SECONDS)

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._seconds)

    def add(self, sample: SampledTransaction, amount: float = 1.0) -> None:
        """Add a transaction that was accepted lately, and stands for `amount` of the sample."""
        number = sample.accepted_ms // 1000
        if not self._seconds or self._seconds[-1].number != number:
            self._seconds.append(_Second(number))
        self._seconds[-1].add(sample, amount)
        self._seconds[-1].added = self._clock()

    def take(self, age_seconds: float) -> Iterator[tuple[list[SampledTransaction], float]]:
        """Yield and forget the transactions of each second added longer ago than this, as they were accepted.

        With them comes how many of the sample each stands for.
        """
        until = self._clock() - age_seconds
        while self._seconds and self._seconds[0].added < until:
            second = self._seconds.popleft()
            yield sorted(second.kept, key=lambda sample: sample.accepted_ms), second.times
