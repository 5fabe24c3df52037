"""Fills the embedded store of a running gate with so many transactions, delivered by three feeds.

It makes the calls the gate itself would make, on the gate's own store: as many transactions a block as a
flush takes under load, claimed by one feed and observed by the two others.
"""

import os

import msgspec
import redis

from app.ingest.blocks import encode_block
from app.ingest.coalescer import FLUSH_MAX_BYTES
from app.metrics.catalogue import Metrics
from app.models import Transaction
from app.settings.model import Settings
from app.store.live_settings import LiveSettings
from app.store.maps import Deliveries, Maps
from app.store.partitions import HASH_BYTES
from app.store.session import StoreSession
from benchmarks.load import FEEDS
from benchmarks.services import Service
from tests.support.payloads import Payloads

DEADLINE_SECONDS = 30.0
DISTINCT_BLOCKS = 64


def socket_of(service: Service) -> str:
    """The unix socket of a gate's embedded store, which its process title names."""
    title = " ".join(service.processes()["store"].cmdline())
    return title[title.index("/", title.index("unixsocket:")) :].split()[0]


def store_client(service: Service) -> redis.Redis:
    """A client of a gate's embedded store."""
    return redis.Redis(unix_socket_path=socket_of(service))


def sample_blocks(count: int, seed: int = 7) -> list[tuple[int, int, bytes]]:
    """Blocks as flushes under load make them: transactions, their raw bytes, and the block."""
    payloads, blocks = Payloads(seed), []
    for _ in range(count):
        records: list[Transaction] = []
        size = 0
        while size < FLUSH_MAX_BYTES:
            [(_, raw)] = payloads.items(1)
            transaction = msgspec.json.decode(raw, type=Transaction)
            transaction.source = FEEDS[0]
            records.append(transaction)
            size += len(transaction.payload)
        blocks.append((len(records), size, encode_block(records)))
    return blocks


async def fill(url: str, settings: Settings, transactions: int) -> int:
    """Put at least so many transactions into the store at `url`; the settings are those of its gate."""
    session = StoreSession(url, DEADLINE_SECONDS, Metrics(settings.max_sources, "bench"))
    maps = Maps(session, LiveSettings(settings))
    await session.probe(maps.sizes)
    if session.down_reason is not None:
        raise SystemExit(f"the store does not answer: {session.down_reason}")
    blocks, filled, number = sample_blocks(DISTINCT_BLOCKS), 0, 0
    [prefix] = maps.layout.prefixes
    while filled < transactions:
        count, _, block = blocks[number % len(blocks)]
        hashes = [os.urandom(HASH_BYTES) for _ in range(count)]
        await maps.claim(prefix, Deliveries(hashes, [FEEDS[0]] * count), block, count)
        for feed in FEEDS[1:]:
            await maps.claim(prefix, Deliveries(hashes, [feed] * count), b"", 0)
        filled, number = filled + count, number + 1
    await session.close()
    return filled
