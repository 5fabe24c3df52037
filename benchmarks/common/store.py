"""The embedded store of a running gate: a client of it, what it uses, and maps filled without HTTP.

Filling makes the calls the gate itself would make: full flushes, whose items three feeds deliver at once.
"""

import asyncio
import os
from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import Any

import msgspec
import redis

from app.ingest.flush_queue import FLUSH_MAX_BYTES
from app.models import Transaction
from app.settings.model import Settings
from app.store.map_rules import FLUSH_MAX_ITEMS
from app.store.maps import Deliveries
from app.store.partitions import HASH_BYTES, signature_hash
from benchmarks.common.bodies import supply
from benchmarks.common.gates import Service
from benchmarks.common.plan import FEEDS
from tests.support.deliver import block_of, connected_gate
from tests.support.faulty_gates import store_socket
from tests.support.payloads import Item

DISTINCT_FLUSHES = {"small": 1, "enhanced": 64}
FLUSHES_AT_ONCE = 2


def room_for(transactions: int, store_gib: int, **others: int) -> dict[str, Any]:
    """The settings of a gate whose store of so many GiB holds so many transactions for an hour."""
    return {
        "transaction_retention_seconds": 3600,
        "observation_retention_seconds": 3600,
        "transactions_limit": transactions,
        "observations_limit": 3 * transactions,
        "transactions_limit_bytes": (store_gib << 30) * 2 // 3,
        "embedded_store_limit_bytes": store_gib << 30,
    } | others


def store_client(service: Service) -> redis.Redis:
    """A client of a gate's embedded store."""
    return redis.Redis(unix_socket_path=store_socket(service))


def used_bytes(store: redis.Redis) -> int:
    """The bytes a store uses by its own count, rounding included."""
    return int(store.info("memory")["used_memory"])


def fill(service: Service, settings: dict[str, Any], transactions: int, payload: str) -> list[str]:
    """Put so many transactions into a gate's store; the signatures of some of them, oldest first.

    The settings are those of the gate; the payload is `small` or `enhanced`.
    """
    connected = Settings(store_url=f"unix://{store_socket(service)}", **settings)
    return asyncio.run(_fill(connected, transactions, payload))


async def _fill(settings: Settings, transactions: int, payload: str) -> list[str]:
    gate = await connected_gate(settings)
    [prefix] = gate.maps.layout.prefixes
    flushes, known, left = _flushes(payload), list[str](), transactions

    async def work() -> None:
        nonlocal left
        while left:
            records, block = next(flushes)
            count = min(left, len(records))
            left -= count
            known.append(signature := f"known-{left}")
            stored = block if count == len(records) else block_of(records[:count])
            await gate.maps.claim(prefix, _deliveries(count, signature), stored, count)

    await asyncio.gather(*(work() for _ in range(FLUSHES_AT_ONCE)))
    await gate.session.close()
    return known


def records_of(items: Iterable[Item]) -> list[Transaction]:
    """Transactions as the gate holds them, delivered first by the first feed."""
    records = [msgspec.json.decode(data, type=Transaction) for _, data in items]
    for record in records:
        record.source = FEEDS[0]
    return records


def _flushes(payload: str) -> Iterator[tuple[list[Transaction], bytes]]:
    """Flushes as they are under load, bounded in items and in bytes, each with its block."""
    items, flushes = supply(payload, seed=7), []
    for _ in range(DISTINCT_FLUSHES[payload]):
        records: list[Transaction] = []
        size = 0
        while size < FLUSH_MAX_BYTES and len(records) < FLUSH_MAX_ITEMS:
            records += records_of([next(items)])
            size += len(records[-1].payload)
        flushes.append((records, block_of(records)))
    return cycle(flushes)


def _deliveries(count: int, signature: str) -> Deliveries:
    """Deliver so many by every feed: the first is this signature, the others are made-up hashes."""
    hashes = [signature_hash(signature), *(os.urandom(HASH_BYTES) for _ in range(count - 1))]
    later = [(place, feed) for place in range(count) for feed in FEEDS[1:]]
    return Deliveries(hashes, [FEEDS[0]] * count, later)
