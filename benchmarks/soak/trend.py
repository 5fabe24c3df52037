"""The trend of resident memory, with an interval that holds for it.

Resident bytes rise and fall with what is in flight, so a low one of each block of time is taken, the floor:
a twentieth of the block's samples are lower. The least would be too low where a process has just given its
heap back to the system: of 1,299 samples at some 91 MB six were at 85 to 88, each in another of nine blocks
of five minutes, and the slope of the least told which blocks these were. Floors of one process resemble
those before them: an allocator takes pages in steps, and keeps them. The usual interval of the Theil-Sen
slope supposes that they do not, and is then too narrow by far. Its variance is therefore multiplied by what
autocorrelation adds to that of the Mann-Kendall score (Hamed and Rao 1998), and the block length that gives
the widest interval is the one reported.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import sqrt

import numpy as np

from app.guard.leak.statistics import Slope, score_variance, slope_with

BLOCK_SECONDS = (60.0, 120.0, 300.0)
LEAST_FLOORS = 8
LOWER_SHARE = 0.05
"""So much of a block's samples is below its floor."""
NORMAL_97_5 = 1.959964
SECONDS_AN_HOUR = 3600.0
MB = 1e6

Point = tuple[float, float]


@dataclass(frozen=True)
class Trend:
    """A slope in MB/h with the bounds of its 95 % interval, and how it was found."""

    mb_per_hour: float
    low: float
    high: float
    block_seconds: float
    floors: int
    variance_factor: float


def trend(samples: Sequence[Point]) -> Trend:
    """The trend of (seconds, bytes), of the block length that has the widest interval.

    Raises ValueError for fewer than two floors.
    """
    seconds = samples[-1][0] - samples[0][0] if samples else 0.0
    enough = [length for length in BLOCK_SECONDS if seconds / length >= LEAST_FLOORS]
    found = [_trend(samples, length) for length in enough or BLOCK_SECONDS[:1]]
    return max(found, key=lambda one: one.high - one.low)


def floors(samples: Iterable[Point], block_seconds: float) -> list[Point]:
    """The sample of each block below which a twentieth of the others are, at its own time."""
    blocks = groupby(samples, lambda point: point[0] // block_seconds)
    return [_floor(list(block)) for _, block in blocks]


def _floor(block: list[Point]) -> Point:
    return sorted(block, key=lambda point: point[1])[int(LOWER_SHARE * len(block))]


def theil_sen(points: Sequence[Point], variance_factor: float) -> Slope:
    """The median of the slopes of all pairs, and Sen's interval with the score's variance multiplied."""
    return slope_with(points, variance_factor * score_variance([y for _, y in points]))


def variance_factor(points: Sequence[Point]) -> float:
    """How many times larger autocorrelation of the detrended ranks makes the score's variance; at least 1."""
    n = len(points)
    if n < LEAST_FLOORS:
        return 1.0
    slope = theil_sen(points, 1.0).value
    ranks = _ranks([y - slope * x for x, y in points])
    ranks -= ranks.mean()
    spread, bound, total = ranks @ ranks, NORMAL_97_5 / sqrt(n), 0.0
    for lag in range(1, n // 2):
        correlation = float(ranks[:-lag] @ ranks[lag:] / spread) if spread else 0.0
        if abs(correlation) <= bound:
            break
        total += (n - lag) * (n - lag - 1) * (n - lag - 2) * correlation
    return max(1.0, 1 + 2 * total / (n * (n - 1) * (n - 2)))


def _trend(samples: Sequence[Point], block_seconds: float) -> Trend:
    points = floors(samples, block_seconds)
    factor = variance_factor(points)
    slope = theil_sen(points, factor)
    value, low, high = (each * SECONDS_AN_HOUR / MB for each in (slope.value, slope.low, slope.high))
    return Trend(value, low, high, block_seconds, len(points), factor)


def _ranks(values: Sequence[float]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Ranks, equal values sharing theirs: of 5, 7, 7 and 9 they are 0, 1.5, 1.5 and 3."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[place]
