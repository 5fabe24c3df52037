"""Does an emergency cleanup of a million transactions disturb ingest, or stop the store?

Three feeds deliver real transactions at a constant rate, each request timed from when it was due. The p99
while `POST /cleanup/emergency` runs is divided by the p99 before. The longest call is the longest of a client
that asks `PING` every half millisecond, the machine's own pauses included, or of any command in the SLOWLOG.
"""

import asyncio
import gc
import time
from dataclasses import dataclass, field
from typing import Any

from app.settings.model import Settings
from benchmarks.bench.filling import fill, socket_of, store_client
from benchmarks.bench.probe import Call, Probe
from benchmarks.bench.result import Result
from benchmarks.load import FEEDS
from benchmarks.services import Service, tidegate
from tests.support.payloads import Payloads, body_of
from tests.support.wire import Connection, connected, request_bytes

TRANSACTIONS = 1_000_000
P99_BOUND, CALL_BOUND_MS = 2.0, 20.0
BATCH_ITEMS, BATCHES_A_SECOND, BEFORE_SECONDS, AFTER_SECONDS = 10, 100, 10.0, 2.0
CONNECTIONS_A_FEED = 4
INGEST_SECONDS = 30.0
# Due a second after its bucket is over; nothing else leaves while it is measured.
EMERGENCY_SECONDS, RETENTION_SECONDS, WIDTHS = 5, 240, 24
SETTINGS: dict[str, Any] = {
    "transaction_retention_seconds": RETENTION_SECONDS,
    "observation_retention_seconds": RETENTION_SECONDS,
    "emergency_transaction_retention_seconds": EMERGENCY_SECONDS,
    "emergency_observation_retention_seconds": EMERGENCY_SECONDS,
    "transactions_limit": 1_500_000,
    "observations_limit": 4_500_000,
    "transactions_limit_bytes": 2 << 30,
    "embedded_store_limit_bytes": 3 << 30,
}


@dataclass
class Ingest:
    """Requests by three feeds at a constant rate; (when it was due, seconds until its answer) of each."""

    url: str
    bodies: list[bytes]
    answered: list[Call] = field(default_factory=list)

    async def run(self) -> None:
        """Send every body by every feed when it is due."""
        async with connected(self.url, len(FEEDS) * CONNECTIONS_A_FEED) as connections:
            started = time.monotonic()
            work = (
                self._feed(connections[number], feed, number // len(FEEDS), started)
                for number, feed in enumerate(FEEDS * CONNECTIONS_A_FEED)
            )
            await asyncio.gather(*work)

    async def _feed(self, connection: Connection, feed: str, first: int, started: float) -> None:
        for number in range(first, len(self.bodies), CONNECTIONS_A_FEED):
            due = started + number / BATCHES_A_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            request = request_bytes("POST", f"/transactions?source={feed}", self.bodies[number])
            reply = await connection.ask(request)
            if reply.status != 200:  # noqa: PLR2004  the status is plainer than a name for it
                raise SystemExit(f"not taken: {reply.body[:300]!r}")
            self.answered.append((due, time.monotonic() - due))


def run(pairs: int) -> list[Result]:
    """A few rounds on one gate, each filled anew."""
    with tidegate(**SETTINGS) as gate:
        rounds = [asyncio.run(_round(gate, seed)) for seed in range(1, pairs + 1)]
    first = rounds[0]
    work = f"emergency cleanup of {TRANSACTIONS:,} transactions during ingest"
    details: dict[str, object] = {"rounds": rounds}
    return [
        Result(
            f"{work}: p99 of ingest",
            "p99 before",
            "at most",
            P99_BOUND,
            "×",
            [round(one["ingest_during"]["p99_ms"] / one["ingest_before"]["p99_ms"], 2) for one in rounds],
            details,
            f"{first['ingest_during']['p99_ms']:.1f} ms after {first['ingest_before']['p99_ms']:.1f}; "
            f"the cleanup took {first['report']['duration_seconds']:.1f} s",
        ),
        Result(
            f"{work}: longest store call",
            "—",
            "at most",
            CALL_BOUND_MS,
            "ms",
            [max(one["calls_during"]["most_ms"], one["slowest_command_ms"]) for one in rounds],
            details,
            f"the slowest command by the store's log {first['slowest_command_ms']:.1f} ms; "
            f"the longest PING before it {first['calls_before']['most_ms']:.1f} ms",
        ),
    ]


async def _round(gate: Service, seed: int) -> dict[str, Any]:
    path = socket_of(gate)
    filled = await fill(f"unix://{path}", Settings(**SETTINGS), TRANSACTIONS)
    await asyncio.sleep(RETENTION_SECONDS / WIDTHS + EMERGENCY_SECONDS + 1)
    payloads = Payloads(seed)
    bodies = [body_of(payloads.items(BATCH_ITEMS)) for _ in range(int(BATCHES_A_SECOND * INGEST_SECONDS))]
    ingest, probe = Ingest(gate.url, bodies), Probe.start(path)
    gc.collect()
    gc.freeze()  # the load's own pauses would be taken for the gate's
    load = asyncio.create_task(ingest.run())
    try:
        await asyncio.sleep(BEFORE_SECONDS)
        measured = await _cleanup(gate)
        await asyncio.sleep(AFTER_SECONDS)
    finally:
        load.cancel()
        calls = probe.stop()
        await asyncio.gather(load, return_exceptions=True)
    started, ended = measured.pop("started"), measured.pop("ended")
    return measured | {
        "filled": filled,
        "ingest_before": _figures(ingest.answered, started - BEFORE_SECONDS + 1, started),
        "ingest_during": _figures(ingest.answered, started, ended),
        "calls_before": _figures(calls, started - BEFORE_SECONDS + 1, started),
        "calls_during": _figures(calls, started, ended),
    }


async def _cleanup(gate: Service) -> dict[str, Any]:
    """Run it; its report, the store's resident bytes, and the slowest commands by the store's own log."""
    before = gate.resident()["store"]
    with store_client(gate) as store:
        store.config_set("slowlog-log-slower-than", 1000)
        store.slowlog_reset()
        async with connected(gate.url, 1) as [connection]:
            started = time.monotonic()
            reply = await connection.ask(request_bytes("POST", "/cleanup/emergency"))
            ended = time.monotonic()
        slow = sorted(((one["duration"], one["command"]) for one in store.slowlog_get(128)), reverse=True)
    return {
        "started": started,
        "ended": ended,
        "report": reply.json(),
        "resident_before": before,
        "resident_after": gate.resident()["store"],
        "slowest_command_ms": max((took / 1000 for took, _ in slow), default=0.0),
        "slowlog_ms": [(took / 1000, command[:40].decode(errors="replace")) for took, command in slow[:5]],
    }


def _figures(calls: list[Call], since: float, until: float) -> dict[str, float]:
    took = sorted(1000 * seconds for at, seconds in calls if since <= at < until)
    return {
        "calls": len(took),
        "p50_ms": round(took[len(took) // 2], 2),
        "p99_ms": round(took[int(0.99 * len(took))], 2),
        "most_ms": round(took[-1], 2),
    }


if __name__ == "__main__":
    for row in run(1):
        print(row)
