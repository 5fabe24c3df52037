"""Fills the maps of a gate with so many small transactions, each delivered by three feeds in the same flush.

It makes the calls the gate itself would make, on the gate's own store, a full flush at a time.
"""

import asyncio
import os
from typing import Any

import msgspec

from app.ingest.blocks import encode_block
from app.metrics.catalogue import Metrics
from app.models import Transaction
from app.settings.model import Settings
from app.store.live_settings import LiveSettings
from app.store.maps import Deliveries, Maps
from app.store.partitions import HASH_BYTES, signature_hash
from app.store.rules import FLUSH_MAX_ITEMS
from app.store.session import StoreSession
from benchmarks.bench.bodies import pool_of
from benchmarks.bench.filling import DEADLINE_SECONDS
from benchmarks.load import FEEDS

MOST = 12_000_000
# The same for every size, so that nothing but the entries differs; nothing leaves while it is measured.
SETTINGS: dict[str, Any] = {
    "dedup_window_seconds": 3600,
    "transaction_retention_seconds": 3600,
    "emergency_transaction_retention_seconds": 3600,
    "observation_retention_seconds": 3600,
    "signatures_limit": MOST,
    "transactions_limit": MOST,
    "observations_limit": 3 * MOST,
    "transactions_limit_bytes": 8 << 30,
    "embedded_store_limit_bytes": 12 << 30,
}
FLUSHES_AT_ONCE = 2


async def fill(url: str, transactions: int) -> list[str]:
    """Put so many transactions into the store at `url`; the signatures of some of them, oldest first."""
    session = StoreSession(url, DEADLINE_SECONDS, Metrics(64, "curves"))
    maps = Maps(session, LiveSettings(Settings(**SETTINGS)))
    await session.probe(maps.sizes)
    if session.down_reason is not None:
        raise SystemExit(f"the store does not answer: {session.down_reason}")
    records, known = _records(), []
    block = encode_block(records)
    [prefix] = maps.layout.prefixes
    left = iter(range(0, transactions, FLUSH_MAX_ITEMS))

    async def work() -> None:
        for at in left:
            count = min(FLUSH_MAX_ITEMS, transactions - at)
            known.append(signature := f"known-{at}")
            stored = block if count == len(records) else encode_block(records[:count])
            await maps.claim(prefix, _deliveries(count, signature), stored, count)

    await asyncio.gather(*(work() for _ in range(FLUSHES_AT_ONCE)))
    await session.close()
    return known


def _deliveries(count: int, signature: str) -> Deliveries:
    """The first of them with this signature, the others with made-up hashes."""
    drawn = os.urandom(HASH_BYTES * count)
    hashes = [drawn[at : at + HASH_BYTES] for at in range(0, len(drawn), HASH_BYTES)]
    hashes[0] = signature_hash(signature)
    later = [(place, feed) for place in range(count) for feed in FEEDS[1:]]
    return Deliveries(hashes, [FEEDS[0]] * count, later)


def _records() -> list[Transaction]:
    """A full flush of transactions."""
    [body] = pool_of("small", FLUSH_MAX_ITEMS, 1, seed=7)
    records = msgspec.json.decode(bytes(body.data), type=list[Transaction])
    for record in records:
        record.source = FEEDS[0]
    return records
