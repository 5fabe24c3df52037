"""Which points each curve has, and what is done at each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.common.bodies import SMALL_BYTES
from benchmarks.common.lone_posts import LONE
from benchmarks.common.plan import LEAST_REQUESTS, Plan

# Of one body, when payloads grow and batches shrink: 500 × 0.65 KB, as in the benchmark.
BODY_BYTES = 500 * SMALL_BYTES
KILOBYTE = 1000


@dataclass(frozen=True)
class Point:
    """One point of a curve."""

    at: float
    """The point's place on the axis."""
    load: Plan
    filled: int | None = None
    """Transactions, each by three feeds, that the maps hold before; None: a new store, as shipped."""


@dataclass(frozen=True)
class Curve:
    """Points in order, with everything else the same."""

    axis: str
    points: Sequence[Point]

    def timed(self, seconds: float) -> "Curve":
        """The curve with so many seconds measured at each point."""
        points = [replace(point, load=replace(point.load, seconds=seconds)) for point in self.points]
        return replace(self, points=points)


def copies(percent: int) -> float:
    """Deliveries of a transaction for so many per cent of duplicates; 67 are two thirds."""
    share = 2 / 3 if percent == 67 else percent / 100  # noqa: PLR2004  two thirds, rounded
    return 1 / (1 - share)


def _batches(items: int, payload: int | None = None) -> Plan:
    """Batches of so many; more seconds where requests are large and hence few."""
    seconds = next(seconds for most, seconds in SECONDS if items <= most)
    return Plan(payload or "small", batch_items=items, seconds=seconds)


def _sized(kilobytes: float) -> Plan:
    size = round(kilobytes * KILOBYTE)
    return _batches(max(2, BODY_BYTES // size), size)


def _rates(connections: int) -> Curve:
    """Single posts at rising rates; where they are few, for as long as a p99.9 takes."""
    seconds = {rate: max(RATE_SECONDS, 1.01 * LEAST_REQUESTS["p999_ms"] / rate) for rate in RATES}
    load = replace(LONE, connections=connections)
    points = [Point(rate, replace(load, per_second=rate, seconds=seconds[rate])) for rate in RATES]
    return Curve(f"posts a second over {connections} connection{'s' * (connections > 1)}", points)


BATCHES = (1, 5, 25, 100, 500, 1000, 5000)
CONNECTIONS = (1, 4, 16, 64, 256, 1000)
# For batches up to so many: long enough for the 1,000 requests a p99.9 takes.
SECONDS = ((500, 5.0), (2000, 10.0), (5000, 50.0))
ENTRIES = (10_000, 100_000, 1_000_000, 10_000_000)
KILOBYTES = (0.2, 0.65, 2, 5.5, 20, 60, 200)
DUPLICATES = (0, 25, 50, 67, 90, 99)
RATES, RATE_SECONDS = (100, 500, 1000, 2000, 5000), 3.0

CURVES: Mapping[str, Curve] = {
    "batch": Curve("transactions a batch", [Point(n, _batches(n)) for n in BATCHES]),
    "connections": Curve(
        "connections, single posts", [Point(n, Plan(batch_items=1, connections=n)) for n in CONNECTIONS]
    ),
    "maps": Curve("transactions stored before", [Point(n, Plan(), filled=n) for n in ENTRIES]),
    "payload": Curve("KB a transaction", [Point(size, _sized(size)) for size in KILOBYTES]),
    "duplicates": Curve("per cent duplicates", [Point(n, Plan(copies=copies(n))) for n in DUPLICATES]),
    **{f"latency-{n}": _rates(n) for n in (1, 4, 16)},
}
