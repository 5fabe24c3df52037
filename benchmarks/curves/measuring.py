"""One measurement of one point: a gate of its own, its load, and what gate and store took for it."""

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import redis

from app.store.partitions import partition_prefixes
from benchmarks.bench.filling import socket_of, store_client
from benchmarks.bench.plan import Measure, Target
from benchmarks.bench.sides import SPARE_SECONDS, MeasurementError, target_of
from benchmarks.curves.filling import SETTINGS, fill
from benchmarks.curves.load import Loaded, percentile_ms
from benchmarks.curves.plan import Load, Point
from benchmarks.services import Service, module, tidegate
from tests.support.wire import connected, request_bytes

# With fewer requests than these a percentile says no more than the longest did.
P99_REQUESTS, P999_REQUESTS = 100, 1000
LOOKUPS, SCRAPES, SCRAPE_PAUSE_SECONDS = 1000, 100, 0.005
MB = 1e6
SLOW_CALL_US = 500

Figures = dict[str, float | None]


@dataclass
class Gate:
    """A running gate, its store, and what the store held when the gate was new."""

    service: Service
    store: redis.Redis
    empty_bytes: int
    known: Sequence[str] = ()
    """Signatures that can be looked up, oldest first."""

    def kept(self) -> int:
        """Transactions in the store."""
        [prefix] = partition_prefixes("tidegate", is_cluster=False)
        return int(self.store.hget(f"{prefix}:transactions:ledger", "entries") or 0)

    def used_bytes(self) -> int:
        """What the store uses."""
        return int(self.store.info("memory")["used_memory"])


@contextmanager
def gate_for(point: Point) -> Iterator[Gate]:
    """A gate as it is shipped; one whose maps are filled has limits and retentions to match."""
    settings = {} if point.filled is None else SETTINGS
    with tidegate(**settings) as service, store_client(service) as store:
        store.config_set("slowlog-log-slower-than", SLOW_CALL_US)
        gate = Gate(service, store, int(store.info("memory")["used_memory"]))
        if point.filled is not None:
            gate.known = asyncio.run(fill(f"unix://{socket_of(service)}", point.filled))
        yield gate


def measure(point: Point, gate: Gate) -> Figures:
    """Lookups and scrapes where maps were filled, then the load."""
    asked = _asked(gate) if gate.known else {}
    gate.store.slowlog_reset()
    before = _store_figures(gate) if gate.known else {}
    loaded = run_load(point.load, target_of(gate.service))
    return _load_figures(loaded) | _store_figures(gate) | before | asked


def run_load(load: Load, target: Target) -> Loaded:
    """Run a loader process to its end.

    Raises:
        MeasurementError: it failed, or found an answer that is not true.
    """
    order = json.dumps({"load": asdict(load), "target": asdict(target)})
    allowed = load.warm_up_seconds + load.seconds + SPARE_SECONDS
    command = module("benchmarks.curves.load")
    ran = subprocess.run(command, input=order, capture_output=True, text=True, timeout=allowed, check=False)
    if ran.returncode:
        raise MeasurementError(ran.stderr.strip()[-1500:] or f"the loader ended with {ran.returncode}")
    found: dict[str, Any] = json.loads(ran.stdout)
    return Loaded(**(found | {"measure": Measure(**found["measure"])}))


def _load_figures(loaded: Loaded) -> Figures:
    one = loaded.measure
    return {
        "transactions_per_second": one.rate,
        "mb_per_second": one.rate * loaded.item_bytes / MB,
        "requests": one.requests,
        "p50_ms": one.p50_ms,
        "p99_ms": one.p99_ms if one.requests >= P99_REQUESTS else None,
        "p999_ms": loaded.p999_ms if one.requests >= P999_REQUESTS else None,
        "gate_us": one.cpu_us("gate"),
        "store_us": one.cpu_us("store"),
        "gate_cores": one.cpu_seconds["gate"] / one.seconds,
        "store_cores": one.cpu_seconds["store"] / one.seconds,
        "loader_cores": one.cpu_seconds["loader"] / one.seconds,
        "other_cores": one.other_cores,
        "checked": one.checked_transactions,
    }


def _store_figures(gate: Gate) -> Figures:
    """Sizes now, and the store's longest call since its log was emptied."""
    resident, kept = gate.service.resident(), gate.kept()
    slow = [one["duration"] for one in gate.store.slowlog_get(128)]
    return {
        "gate_mb": resident["gate"] / MB,
        "store_mb": resident["store"] / MB,
        "kept": kept,
        "store_bytes_each": (gate.used_bytes() - gate.empty_bytes) / kept if kept else None,
        "longest_store_call_ms": max(slow, default=SLOW_CALL_US) / 1000,
    }


def _asked(gate: Gate) -> Figures:
    """How long a lookup of a transaction of any age and `/metrics` take while nothing else is to do."""
    step = len(gate.known) / LOOKUPS
    signatures = [gate.known[int(number * step)] for number in range(LOOKUPS)]
    lookups = [f"/transactions/{signature}" for signature in signatures]
    found = asyncio.run(_timed(gate.service.url, lookups, b'"source":"helius-a"', 0))
    scraped = asyncio.run(
        _timed(gate.service.url, ["/metrics"] * SCRAPES, b"tidegate_map_entries", SCRAPE_PAUSE_SECONDS)
    )
    return {
        "lookup_p50_ms": percentile_ms(found, 50, 100),
        "lookup_p99_ms": percentile_ms(found, 99, 100),
        "lookup_p999_ms": percentile_ms(found, 999, 1000),
        "scrape_p50_ms": percentile_ms(scraped, 50, 100),
        "scrape_p99_ms": percentile_ms(scraped, 99, 100),
    }


async def _timed(url: str, paths: Sequence[str], expected: bytes, pause_seconds: float) -> list[float]:
    """Seconds of each `GET`, one after the other over one connection."""
    took = []
    async with connected(url, 1) as [connection]:
        for path in paths:
            started = time.perf_counter()
            reply = await connection.ask(request_bytes("GET", path))
            took.append(time.perf_counter() - started)
            if expected not in reply.body:
                raise SystemExit(f"{path}: {reply.status} {reply.body[:300]!r}")
            await asyncio.sleep(pause_seconds)
    return took
