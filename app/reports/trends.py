"""What the readings of one process say of its growth: slope, plateau, and lines to plot."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from app.guard.leak.statistics import Slope, theil_sen
from app.reports.fold import Track
from app.reports.period import Period

MEGABYTE = 1_000_000
HOUR_SECONDS = 3600
# Less than this after warm-up tells nothing.
LEAST_SECONDS = 30 * 60
LEAST_READINGS = 20
MOST_POINTS = 120


@dataclass(frozen=True)
class Trend:
    """Growth after warm-up: MB an hour over so many hours, and the level of its first and last quarter."""

    slope: Slope
    hours: float
    first_quarter: float
    last_quarter: float

    @property
    def growth(self) -> float:
        """The MB by which memory grew from the first quarter to the last."""
        return self.last_quarter - self.first_quarter


def trend_of(track: Track, warmup_seconds: float) -> Trend | None:
    """Return the trend of a process, None when too little is known of it after its warm-up."""
    warm_from = track.began_seconds + warmup_seconds
    points = [(x, rss) for x, rss in zip(track.x_seconds, track.rss_bytes, strict=True) if x >= warm_from]
    if len(points) < LEAST_READINGS:
        return None
    points.sort()
    seconds = points[-1][0] - points[0][0]
    if seconds < LEAST_SECONDS:
        return None
    floors = [(x / HOUR_SECONDS, rss / MEGABYTE) for x, rss in _floors(points)]
    quarter = max(1, len(floors) // 4)
    return Trend(
        slope=theil_sen(floors),
        hours=seconds / HOUR_SECONDS,
        first_quarter=median(rss for _, rss in floors[:quarter]),
        last_quarter=median(rss for _, rss in floors[-quarter:]),
    )


def signed(amount: float) -> str:
    """Write an amount to two decimals with its sign, which is plus for what rounds to nothing."""
    return f"{round(amount, 2) + 0.0:+.2f}"


def lines(track: Track, period: Period) -> list[tuple[int, int, int]]:
    """Return moment, least and most resident bytes of each block of the period that has a reading."""
    blocks: dict[int, tuple[int, int, int]] = {}
    for at_ms, rss in zip(track.at_ms, track.rss_bytes, strict=True):
        block = period.block_of(at_ms)
        held = blocks.get(block, (at_ms, rss, rss))
        blocks[block] = (held[0], min(held[1], rss), max(held[2], rss))
    return [blocks[block] for block in sorted(blocks)]


def _floors(points: list[tuple[float, int]]) -> Iterator[tuple[float, int]]:
    """Yield the lowest point of each of at most 120 equally long parts of points that are sorted by x."""
    first, last = points[0][0], points[-1][0]
    width = (last - first) / MOST_POINTS
    part, lowest = 0, points[0]
    for point in points[1:]:
        at = min(MOST_POINTS - 1, int((point[0] - first) / width))
        if at != part:
            yield lowest
            part, lowest = at, point
        elif point[1] < lowest[1]:
            lowest = point
    yield lowest
