"""Which points each curve has, what is done at each, and what is told of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from benchmarks.common.bodies import SMALL_BYTES
from benchmarks.common.plan import LEAST_REQUESTS, Plan
from benchmarks.common.turns import LONE, LONE_SIDES

# Of one body, when payloads grow and batches shrink: 500 × 0.65 KB, as in the benchmark.
BODY_BYTES = 500 * SMALL_BYTES
KILOBYTE = 1000


class Column(NamedTuple):
    """What a column of a table or a panel of a picture holds: figures by their names."""

    head: str
    names: Sequence[str]
    has_range: bool = False


@dataclass(frozen=True)
class Point:
    """One point of a curve."""

    at: float
    """The point's place on the axis."""
    load: Plan
    filled: int | None = None
    """Transactions, each by three feeds, that the maps hold before; None: a new store, as shipped."""


RATE = Column("transactions/s", ["transactions_per_second"], has_range=True)
COSTS = (
    Column("p50 / p99 / p99.9, ms", ["p50_ms", "p99_ms", "p999_ms"]),
    Column("CPU each, µs: gate / store", ["gate_us", "store_us"]),
    Column("cores: gate / store / loader", ["gate_cores", "store_cores", "loader_cores"]),
    Column("resident, MB: gate / store", ["gate_mb", "store_mb"]),
    Column("store bytes each", ["store_bytes_each"]),
)
USUAL = (RATE, *COSTS)
LATENCY = "latency"


@dataclass(frozen=True)
class Curve:
    """Points in order, with everything else the same."""

    axis: str
    points: Sequence[Point]
    columns: Sequence[Column] = USUAL

    def timed(self, seconds: float) -> "Curve":
        """The curve with so many seconds measured at each point."""
        points = [replace(point, load=replace(point.load, seconds=seconds)) for point in self.points]
        return replace(self, points=points)


def group_of(curve: str) -> str:
    """What a curve is asked for by: the part of its name before a hyphen."""
    return curve.partition("-")[0]


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
    axis = f"posts a second over {connections} connection{'s' * (connections > 1)}"
    return Curve(axis, points, LATENCY_COLUMNS)


LATENCY_COLUMNS = tuple(
    Column(f"{side.title}: p50 / p99 / p99.9, ms", [f"{side.name}_{name}" for name in LEAST_REQUESTS])
    for side in LONE_SIDES
)
# In the picture the sides are lines of one panel.
LATENCY_PANELS = tuple(
    Column(f"{title}, ms", [f"{side.name}_{name}" for side in LONE_SIDES])
    for name, title in zip(LEAST_REQUESTS, ("p50", "p99", "p99.9"), strict=True)
)
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
    "maps": Curve(
        "transactions stored before",
        [Point(n, Plan(), filled=n) for n in ENTRIES],
        (
            *USUAL,
            Column("lookup p50 / p99 / p99.9, ms", ["lookup_p50_ms", "lookup_p99_ms", "lookup_p999_ms"]),
            Column("`/metrics` p50 / p99, ms", ["scrape_p50_ms", "scrape_p99_ms"]),
        ),
    ),
    "payload": Curve(
        "KB a transaction",
        [Point(size, _sized(size)) for size in KILOBYTES],
        (RATE, Column("MB/s", ["mb_per_second"]), *COSTS),
    ),
    "duplicates": Curve("per cent duplicates", [Point(n, Plan(copies=copies(n))) for n in DUPLICATES]),
    **{f"{LATENCY}-{n}": _rates(n) for n in (1, 4, 16)},
}
