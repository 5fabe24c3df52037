"""Which points each curve has, and what is done at each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.bench.bodies import SMALL_BYTES

# Of one body, when payloads grow and batches shrink: 500 × 0.65 KB, as in the benchmark.
BODY_BYTES = 500 * SMALL_BYTES
KILOBYTE = 1000


@dataclass(frozen=True)
class Load:
    """A closed-loop load of three feeds, as fast as it is answered."""

    batch_items: int = 500
    """1 posts single objects, no arrays."""
    connections: int = 6
    copies: float = 3.0
    """How often a transaction is delivered on average; all but one are duplicates."""
    item_bytes: int | None = None
    """Of one transaction, made of real ones; None: the made-up transfers of the benchmark, 650 bytes."""
    warm_up_seconds: float = 1.0
    seconds: float = 5.0
    """What is measured, after the warm-up: long enough for the 1,000 requests a p99.9 takes."""


@dataclass(frozen=True)
class Point:
    """One point of a curve."""

    at: float
    """Where it is on the axis."""
    load: Load
    filled: int | None = None
    """Transactions, each by three feeds, that the maps hold before; None: a new store, as shipped."""


@dataclass(frozen=True)
class Curve:
    """Points in order, with everything else the same."""

    axis: str
    points: Sequence[Point]


def copies(percent: int) -> float:
    """Deliveries of a transaction for so many per cent of duplicates; 67 are two thirds."""
    share = 2 / 3 if percent == 67 else percent / 100  # noqa: PLR2004  two thirds, rounded
    return 1 / (1 - share)


def _sized(kilobytes: float) -> Load:
    size = round(kilobytes * KILOBYTE)
    items = max(2, BODY_BYTES // size)
    return Load(batch_items=items, item_bytes=size, seconds=_seconds(items))


def _seconds(items: int) -> float:
    """More where requests are large and hence few."""
    return next(seconds for most, seconds in SECONDS if items <= most)


BATCHES = (1, 5, 25, 100, 500, 1000, 5000)
CONNECTIONS = (1, 4, 16, 64, 256, 1000)
# For batches up to so many.
SECONDS = ((500, Load.seconds), (2000, 10.0), (5000, 50.0))
ENTRIES = (10_000, 100_000, 1_000_000, 10_000_000)
KILOBYTES = (0.2, 0.65, 2, 5.5, 20, 60, 200)
DUPLICATES = (0, 25, 50, 67, 90, 99)

CURVES: Mapping[str, Curve] = {
    "batch": Curve(
        "transactions a batch", [Point(n, Load(batch_items=n, seconds=_seconds(n))) for n in BATCHES]
    ),
    "connections": Curve(
        "connections, single posts", [Point(n, Load(batch_items=1, connections=n)) for n in CONNECTIONS]
    ),
    "maps": Curve("transactions stored before", [Point(n, Load(), filled=n) for n in ENTRIES]),
    "payload": Curve("KB a transaction", [Point(size, _sized(size)) for size in KILOBYTES]),
    "duplicates": Curve("per cent duplicates", [Point(n, Load(copies=copies(n))) for n in DUPLICATES]),
}
