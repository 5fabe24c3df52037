"""The points of a curve, measured in turn: a gate, its load, and what gate and store took for it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import redis

from app.models import MapName
from app.store.partitions import first_prefix
from benchmarks.common.gates import Service, tidegate
from benchmarks.common.load import run_loader
from benchmarks.common.plan import LEAST_REQUESTS, Plan, times_ms
from benchmarks.common.plots import MB
from benchmarks.common.store import fill, room_for, store_client, used_bytes
from benchmarks.common.turns import LONE_SIDES, in_turn
from benchmarks.curves.plan import Point
from tests.support.ledger import read_ledger

LOOKUPS, SCRAPES, SCRAPE_PAUSE_SECONDS = 1000, 100, 0.005
SLOW_CALL_US = 500
# A gate that took longer to fill is kept for all rounds; what a round adds to so many is little.
KEPT_FROM = 1_000_000
MOST = 12_000_000
# Equal for every size, so that nothing but the entries differs; nothing leaves while it is measured.
SETTINGS = room_for(
    MOST,
    store_gib=12,
    signatures_limit=MOST,
    dedup_window_seconds=3600,
    emergency_transaction_retention_seconds=3600,
)

Figures = dict[str, float | None]


@dataclass
class Gate:
    """A running gate, its store, and what the store held when the gate was new."""

    service: Service
    store: redis.Redis
    empty_bytes: int
    known: Sequence[str] = ()
    """Signatures that can be looked up, oldest first."""


def run_points(points: Sequence[Point], rounds: int) -> list[list[Figures]]:
    """The figures of each point, round by round: what changes on the machine meanwhile meets them all."""
    with ExitStack() as stack:
        large = [point for point in points if (point.filled or 0) >= KEPT_FROM]
        kept = {point.at: stack.enter_context(gate_for(point)) for point in large}

        def figures(point: Point) -> Figures:
            if point.load.per_second:
                return beside_rivals(point.load)
            with nullcontext(kept[point.at]) if point.at in kept else gate_for(point) as gate:
                return measure(point, gate)

        return [*in_turn({point.at: partial(figures, point) for point in points}, rounds).values()]


@contextmanager
def gate_for(point: Point) -> Iterator[Gate]:
    """A gate as it is shipped; one whose maps are filled has limits and retentions to match."""
    settings = {} if point.filled is None else SETTINGS
    with tidegate(**settings) as service, store_client(service) as store:
        store.config_set("slowlog-log-slower-than", SLOW_CALL_US)
        gate = Gate(service, store, used_bytes(store))
        if point.filled is not None:
            gate.known = fill(service, SETTINGS, point.filled, "small")
        yield gate


def measure(point: Point, gate: Gate) -> Figures:
    """Lookups and scrapes where maps were filled, then the load."""
    asked = _asked(gate) if gate.known else {}
    gate.store.slowlog_reset()
    before = _store_figures(gate) if gate.known else {}
    loaded = run_loader(point.load, gate.service.target())
    return loaded.figures() | _store_figures(gate) | before | asked


def beside_rivals(plan: Plan) -> Figures:
    """Times of single posts to each side, and the CPU of its gate and store, under the names of the sides."""
    kept, found = (
        ("transactions_per_second", *LEAST_REQUESTS, "gate_us", "store_us", "other_cores"),
        Figures(),
    )
    for side in LONE_SIDES:
        figures = side.measure(plan).figures()
        found |= {f"{side.name}_{name}": figures[name] for name in kept if name in figures}
    return found


def _store_figures(gate: Gate) -> Figures:
    """Sizes now, and the store's longest call since its log was emptied."""
    prefix = first_prefix("tidegate")
    kept = read_ledger(gate.store, prefix).entries(MapName.TRANSACTIONS)
    slow = [one["duration"] for one in gate.store.slowlog_get(128)]
    return {
        **{f"{part}_mb": resident / MB for part, resident in gate.service.resident().items()},
        "kept": kept,
        "store_bytes_each": (used_bytes(gate.store) - gate.empty_bytes) / kept if kept else None,
        "longest_store_call_ms": max(slow, default=SLOW_CALL_US) / 1000,
    }


def _asked(gate: Gate) -> Figures:
    """How long a lookup of a transaction of any age and `/metrics` take while nothing else is to do."""
    step, timed = len(gate.known) / LOOKUPS, gate.service.timed
    lookups = [f"/transactions/{gate.known[int(number * step)]}" for number in range(LOOKUPS)]
    took = {
        "lookup": times_ms(timed(lookups, b'"source":"helius-a"')),
        "scrape": times_ms(timed(["/metrics"] * SCRAPES, b"tidegate_map_entries", SCRAPE_PAUSE_SECONDS)),
    }
    return {f"{what}_{name}": times[name] for what, times in took.items() for name in LEAST_REQUESTS}
