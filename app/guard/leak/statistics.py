"""Trends in short series, without assuming how they are spread: Theil-Sen's slope and the Mann-Kendall test.

One outlier does not turn them. Of the points (0 s, 60), (30, 66), (60, 72), (90, 160), (120 s, 84 MiB)
Theil-Sen's slope is 0.2 MiB a second, the median of the ten slopes between two of them, where least squares
answer 0.47. Mann-Kendall's score is 8: nine pairs go up and one goes down.

Both compare every pair, so callers bound the number of points: 60 points are 1,770 pairs and well under a
millisecond, 120 points are 7,140 pairs and a few milliseconds. No library, since the gate would carry tens of
megabytes of one for these few lines; the tests compare with figures of SciPy's.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import erfc, sqrt
from statistics import median

# The 97.5 % point of the normal distribution: 95 % lie within it on both sides.
_NORMAL_97_5 = 1.959964


@dataclass(frozen=True, slots=True)
class Slope:
    """A slope in units of y per unit of x, with the bounds of its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class MannKendall:
    """How surely a series goes one way: `z` > 0 upwards; `p_value` two-sided, small when it does."""

    z: float
    p_value: float


def theil_sen(points: Sequence[tuple[float, float]]) -> Slope:
    """Return the median of the slopes between all pairs of (x, y), with Sen's interval (1968).

    Pairs with the same x are left out. Raises ValueError when no pair is left.
    """
    return slope_with(points, score_variance([y for _, y in points]))


def slope_with(points: Sequence[tuple[float, float]], variance: float) -> Slope:
    """Return Theil-Sen's slope, with the interval that follows from a variance of Mann-Kendall's score."""
    slopes = sorted((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x1 != x2)
    if not slopes:
        raise ValueError("a slope needs two points with different x")
    half = _NORMAL_97_5 * sqrt(variance) / 2
    low = max(0, round(len(slopes) / 2 - half) - 1)
    high = min(len(slopes) - 1, round(len(slopes) / 2 + half))
    return Slope(median(slopes), slopes[low], slopes[high])


def mann_kendall(values: Sequence[float]) -> MannKendall:
    """Test whether later values tend to be larger; corrected for ties, and p is 1 for fewer than three."""
    score = sum((later > earlier) - (later < earlier) for earlier, later in combinations(values, 2))
    variance = score_variance(values)
    if len(values) < 3 or variance <= 0 or score == 0:  # noqa: PLR2004 - two values always go one way
        return MannKendall(0.0, 1.0)
    z = (score - (1 if score > 0 else -1)) / sqrt(variance)
    return MannKendall(z, erfc(abs(z) / sqrt(2)))


def score_variance(values: Sequence[float]) -> float:
    """Return the variance that the Mann-Kendall score would have without a trend."""
    ties = sum(n * (n - 1) * (2 * n + 5) for n in Counter(values).values() if n > 1)
    n = len(values)
    return (n * (n - 1) * (2 * n + 5) - ties) / 18
