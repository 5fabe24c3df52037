"""Does a scrape of `/metrics` stay quick beside a million entries, and does it leave the store alone?

The gate's store is filled with a million transactions. Scrapes follow one another over one connection; then
nothing is asked for as long. What the gate sends to the store is counted in both times (`MONITOR`): the ticks
are in both, so what a scrape sends is what there is more.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

from app.settings.model import Settings
from benchmarks.bench.filling import fill, socket_of, store_client
from benchmarks.bench.result import Result
from benchmarks.services import Service, tidegate
from tests.support.wire import connected, request_bytes

TRANSACTIONS = 1_000_000
SCRAPES, PAUSE_SECONDS = 400, 0.01
P99_BOUND_MS, COMMANDS_BOUND = 10.0, 0.05
SETTINGS: dict[str, Any] = {
    "transaction_retention_seconds": 3600,
    "observation_retention_seconds": 3600,
    "transactions_limit": 2_000_000,
    "observations_limit": 6_000_000,
    "transactions_limit_bytes": 2 << 30,
    "embedded_store_limit_bytes": 3 << 30,
}
END = "that is all"
REQUEST = request_bytes("GET", "/metrics")


def run(pairs: int) -> list[Result]:
    """So many rounds on one gate, filled once."""
    with tidegate(**SETTINGS) as gate, store_client(gate) as store:
        filled = asyncio.run(fill(f"unix://{socket_of(gate)}", Settings(**SETTINGS), TRANSACTIONS))
        rounds = [asyncio.run(_round(gate, store)) for _ in range(pairs)]
        entries = sum(one["entries"] for one in gate.get("/stats")["maps"].values())  # type: ignore[attr-defined]
    details: dict[str, object] = {"transactions": filled, "entries": entries, "rounds": rounds}
    return [
        Result(
            f"`/metrics` with {TRANSACTIONS:,} transactions: p99",
            "—",
            "at most",
            P99_BOUND_MS,
            "ms",
            [one["p99_ms"] for one in rounds],
            details,
            f"p50 {rounds[0]['p50_ms']:.2f} ms, {entries:,} entries in all maps",
        ),
        Result(
            "store commands a scrape of `/metrics` sends",
            "—",
            "at most",
            COMMANDS_BOUND,
            "commands",
            [one["commands_a_scrape"] for one in rounds],
            details,
            f"{rounds[0]['sent_while_scraped']} sent during {SCRAPES} scrapes, "
            f"{rounds[0]['sent_while_idle']} in as much time without: the ticks'",
        ),
    ]


async def _round(gate: Service, store: redis.Redis) -> dict[str, Any]:
    with watched(store) as while_scraped:
        started = time.monotonic()
        took = await _scrape(gate)
        seconds = time.monotonic() - started
    with watched(store) as while_idle:
        await asyncio.sleep(seconds)
    took.sort()
    return {
        "p50_ms": round(took[len(took) // 2], 3),
        "p99_ms": round(took[int(0.99 * len(took))], 3),
        "most_ms": round(took[-1], 3),
        "sent_while_scraped": while_scraped.total(),
        "sent_while_idle": while_idle.total(),
        "commands_a_scrape": max(0, while_scraped.total() - while_idle.total()) / SCRAPES,
        "commands": sorted(while_scraped | while_idle),
    }


@contextmanager
def watched(store: redis.Redis) -> Iterator[Counter[str]]:
    """Counts what clients send to the store while the block runs, by the command's name (`MONITOR`)."""
    counted: Counter[str] = Counter()
    with store.monitor() as monitor:  # type: ignore[no-untyped-call]
        ended = threading.Event()

        def listen() -> None:
            for one in monitor.listen():
                if one["command"] == f"ECHO {END}":
                    ended.set()
                    return
                if one["client_type"] != "lua":
                    counted[one["command"].split()[0].upper()] += 1

        threading.Thread(target=listen, daemon=True).start()
        yield counted
        store.echo(END)
        ended.wait()


async def _scrape(gate: Service) -> list[float]:
    """Milliseconds of each scrape."""
    took = []
    async with connected(gate.url, 1) as [connection]:
        for _ in range(SCRAPES):
            started = time.monotonic()
            reply = await connection.ask(REQUEST)
            took.append(1000 * (time.monotonic() - started))
            if b"tidegate_map_entries" not in reply.body:
                raise SystemExit(f"not scraped: {reply.body[:300]!r}")
            await asyncio.sleep(PAUSE_SECONDS)
    return took


if __name__ == "__main__":
    for row in run(1):
        print(row)
