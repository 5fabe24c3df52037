"""Does an emergency cleanup of a million transactions disturb ingest, or stop the store?

Three feeds deliver real transactions at a constant rate, each request timed from when it was due. The p99
while `POST /cleanup/emergency` runs is divided by the p99 before. The longest call is the longest of a client
that asks `PING` every half millisecond, the machine's own pauses included, or of any command in the SLOWLOG.
"""

import gc
import time
from typing import Any

import redis

from benchmarks.bench.result import Result
from benchmarks.common.constant_rate import Answers, Call, Rate, at_rate, posting
from benchmarks.common.gates import Service, tidegate
from benchmarks.common.plan import FEEDS, times_ms
from benchmarks.common.readers import Order, beside
from benchmarks.common.store import fill, room_for, store_client
from tests.support.faulty_gates import store_socket
from tests.support.payloads import Payloads, body_of

TRANSACTIONS = 1_000_000
P99_BOUND, CALL_BOUND_MS = 2.0, 20.0
BATCH_ITEMS, BATCHES_A_SECOND, BEFORE_SECONDS, AFTER_SECONDS = 10, 100, 10.0, 2.0
RATE = Rate(BATCHES_A_SECOND, FEEDS, connections=4)
INGEST_SECONDS, PING_PAUSE_SECONDS = 30.0, 0.0005
# Due a second after its bucket is over; nothing else leaves while it is measured.
EMERGENCY_SECONDS, RETENTION_SECONDS, WIDTHS = 5, 240, 24
SETTINGS = room_for(
    1_500_000,
    store_gib=3,
    transaction_retention_seconds=RETENTION_SECONDS,
    observation_retention_seconds=RETENTION_SECONDS,
    emergency_transaction_retention_seconds=EMERGENCY_SECONDS,
    emergency_observation_retention_seconds=EMERGENCY_SECONDS,
)


def run(pairs: int) -> list[Result]:
    """A few rounds on one gate, each filled anew."""
    with tidegate(**SETTINGS) as gate:
        rounds = [_round(gate, seed) for seed in range(1, pairs + 1)]
    first, details = rounds[0], {"rounds": rounds}
    work = f"emergency cleanup of {TRANSACTIONS:,} transactions during ingest"
    disturbed, stopped = f"{work}: p99 of ingest", f"{work}: longest store call"
    ratios = [round(one["ingest_during"]["p99_ms"] / one["ingest_before"]["p99_ms"], 2) for one in rounds]
    longest = [max(one["calls_during"]["most_ms"], one["slowest_command_ms"]) for one in rounds]
    ingest = (
        f"{first['ingest_during']['p99_ms']:.1f} ms after {first['ingest_before']['p99_ms']:.1f}; "
        f"the cleanup took {first['report']['duration_seconds']:.1f} s"
    )
    calls = (
        f"the slowest command by the store's log {first['slowest_command_ms']:.1f} ms; "
        f"the longest PING before it {first['calls_before']['most_ms']:.1f} ms"
    )
    return [
        Result(disturbed, "p99 before", "at most", P99_BOUND, "×", ratios, details, ingest),
        Result(stopped, "—", "at most", CALL_BOUND_MS, "ms", longest, details, calls),
    ]


def _round(gate: Service, seed: int) -> dict[str, Any]:
    fill(gate, SETTINGS, TRANSACTIONS, "enhanced")
    time.sleep(RETENTION_SECONDS / WIDTHS + EMERGENCY_SECONDS + 1)
    payloads = Payloads(seed)
    bodies = [body_of(payloads.items(BATCH_ITEMS)) for _ in range(int(BATCHES_A_SECOND * INGEST_SECONDS))]
    gc.collect()
    gc.freeze()  # the load's own pauses would be taken for the gate's
    with posting(gate.url, at_rate(bodies, RATE)) as ingest, beside(_ping, store_socket(gate)) as pings:
        time.sleep(BEFORE_SECONDS)
        started = time.monotonic()
        measured = _cleanup(gate)
        ended = time.monotonic()
        time.sleep(AFTER_SECONDS)
    spans = {"before": (started - BEFORE_SECONDS + 1, started), "during": (started, ended)}
    calls = Answers(calls=pings.result)
    for what, answers in {"ingest": ingest.checked(), "calls": calls}.items():
        for when, span in spans.items():
            took = answers.seconds(*span)
            measured[f"{what}_{when}"] = {"calls": len(took), **times_ms(took)}
    return measured | {"filled": TRANSACTIONS}


def _cleanup(gate: Service) -> dict[str, Any]:
    """Run a cleanup; its report, the store's resident bytes, and the slowest commands by the store's log."""
    before = gate.resident()["store"]
    with store_client(gate) as store, gate.client() as client:
        store.config_set("slowlog-log-slower-than", 1000)
        store.slowlog_reset()
        report = client.post("/cleanup/emergency").json()
        slow = sorted(((one["duration"], one["command"]) for one in store.slowlog_get(128)), reverse=True)
    return {
        "report": report,
        "resident_before": before,
        "resident_after": gate.resident()["store"],
        "slowest_command_ms": max((took / 1000 for took, _ in slow), default=0.0),
        "slowlog_ms": [(took / 1000, command[:40].decode(errors="replace")) for took, command in slow[:5]],
    }


def _ping(order: Order, path: str) -> list[Call]:
    """Ask the store `PING` until the reader has to end; each call."""
    store, calls = redis.Redis(unix_socket_path=path), list[Call]()
    order.begun()
    while not order.is_over:
        started = time.monotonic()
        store.ping()
        calls.append((started, time.monotonic() - started))
        time.sleep(PING_PAUSE_SECONDS)
    return calls
