"""Percentiles of times, computed in one way for every table."""

from collections.abc import Sequence
from math import floor, nan


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which so many per cent lie, interpolated between two neighbours; NaN of no values."""
    if not values:
        return nan
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    lower = ordered[floor(place)]
    upper = ordered[min(floor(place) + 1, len(ordered) - 1)]
    return lower + (upper - lower) * (place - floor(place))


def times_ms(seconds: Sequence[float]) -> dict[str, float]:
    """The p50, the p99 and the longest of times, in milliseconds."""
    figures = {"p50_ms": percentile(seconds, 50), "p99_ms": percentile(seconds, 99), "most_ms": max(seconds)}
    return {name: round(1000 * value, 3) for name, value in figures.items()}
