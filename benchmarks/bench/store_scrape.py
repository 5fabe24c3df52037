"""Does a scrape of `/metrics` stay quick beside a million entries, and does it leave the store alone?

The gate's store is filled with a million transactions. Scrapes follow one another over one connection; then
nothing is asked for as long. What the gate sends to the store is counted in both times (`MONITOR`): the ticks
are in both, so what a scrape sends is what there is more.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import redis

from benchmarks.bench.result import Result
from benchmarks.common.background import meanwhile
from benchmarks.common.gates import Service, tidegate
from benchmarks.common.plan import times_ms
from benchmarks.common.store import fill, room_for, store_client

TRANSACTIONS = 1_000_000
SCRAPES, PAUSE_SECONDS = 400, 0.01
P99_BOUND_MS, COMMANDS_BOUND = 10.0, 0.05
SETTINGS = room_for(2_000_000, store_gib=3)
END = "that is all"


def run(pairs: int) -> list[Result]:
    """Take so many rounds on one gate, filled once."""
    with tidegate(**SETTINGS) as gate, store_client(gate) as store:
        fill(gate, SETTINGS, TRANSACTIONS, "enhanced")
        rounds = [_round(gate, store) for _ in range(pairs)]
        entries = sum(one["entries"] for one in gate.get("/stats")["maps"].values())
    details = {"transactions": TRANSACTIONS, "entries": entries, "rounds": rounds}
    first = rounds[0]
    quick = f"`/metrics` with {TRANSACTIONS:,} transactions: p99"
    p99 = [one["p99_ms"] for one in rounds]
    p50 = f"p50 {first['p50_ms']:.2f} ms, {entries:,} entries in all maps"
    alone = "store commands a scrape of `/metrics` sends"
    commands = [one["commands_a_scrape"] for one in rounds]
    sent = (
        f"{first['sent_while_scraped']} sent during {SCRAPES} scrapes, "
        f"{first['sent_while_idle']} in as much time without: the ticks'"
    )
    return [
        Result(quick, "—", "at most", P99_BOUND_MS, "ms", p99, details, p50),
        Result(alone, "—", "at most", COMMANDS_BOUND, "commands", commands, details, sent),
    ]


def _round(gate: Service, store: redis.Redis) -> dict[str, Any]:
    started = time.monotonic()
    with watched(store) as scraped:
        took = gate.timed(["/metrics"] * SCRAPES, b"tidegate_map_entries", PAUSE_SECONDS)
    seconds = time.monotonic() - started
    with watched(store) as idle:
        time.sleep(seconds)
    return {
        **times_ms(took),
        "sent_while_scraped": scraped.total(),
        "sent_while_idle": idle.total(),
        "commands_a_scrape": max(0, scraped.total() - idle.total()) / SCRAPES,
        "commands": sorted(scraped | idle),
    }


@contextmanager
def watched(store: redis.Redis) -> Iterator[Counter[str]]:
    """Counts what clients send to the store while the block runs, by the command's name (`MONITOR`)."""
    counted: Counter[str] = Counter()
    with store.monitor() as monitor:  # type: ignore[no-untyped-call]

        def listen(_: Event) -> None:
            for one in monitor.listen():
                if one["command"] == f"ECHO {END}":
                    return
                if one["client_type"] != "lua":
                    counted[one["command"].split()[0].upper()] += 1

        with meanwhile(listen):
            try:
                yield counted
            finally:
                store.echo(END)
