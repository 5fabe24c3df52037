"""Transactions for tests that speak to the flush directly."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from app.decode.columns import Columns
from app.ingest.flush import Flusher
from app.ingest.late_duplicates import LateDuplicates
from app.ingest.recent_signatures import Fingerprints
from app.ingest.source_misses import Misses
from app.ingest.source_statistics import SourceStatistics
from app.metrics.catalogue import Metrics
from app.models import Transaction
from app.settings.model import Settings
from app.store.blocks import encode_block
from app.store.connector import StoreConnector
from app.store.maps import Maps
from app.store.read_accepted import Accepted
from app.store.sample_queries import SampleQueries
from app.store.session import StoreSession
from app.store.settings_in_force import LiveSettings


@dataclass
class Gate:
    """The parts of a gate below HTTP."""

    session: StoreSession
    maps: Maps
    flusher: Flusher
    live: LiveSettings
    sources: SourceStatistics
    queries: SampleQueries
    late: LateDuplicates
    misses: Misses
    accepted: Accepted


async def connected_gate(settings: Settings, fingerprints: Fingerprints | None = None) -> Gate:
    """A gate without background tasks: nothing happens but what the test does."""
    metrics = Metrics(settings.max_sources, "test")
    session = StoreSession(StoreConnector(str(settings.store_url), settings.store_deadline_seconds), metrics)
    live = LiveSettings(settings)
    maps = Maps(session, live.layout)
    await session.probe(maps.sizes)
    assert session.is_up, session.down_reason
    sources = SourceStatistics(metrics.source_limit.label, lambda: live.settings.dedup_window_seconds)
    flusher = Flusher(maps, metrics, sources, fingerprints)
    queries = SampleQueries(session, live.layout)
    late = LateDuplicates(lambda: live.settings, queries, sources)
    misses = Misses(lambda: live.settings, queries, sources)
    accepted = Accepted(session, live.layout)
    return Gate(session, maps, flusher, live, sources, queries, late, misses, accepted)


def transaction(signature: str, source: str = "helius-a", payload: object = None) -> Transaction:
    """A transaction as the decoder would make it."""
    return Transaction(signature, source, None, msgspec.Raw(msgspec.json.encode(payload)))


def block_of(transactions: Sequence[Transaction]) -> bytes:
    """Encode transactions as a block, as a flush does."""
    return encode_block(Columns.of(transactions))


BLOCK = block_of([transaction("of a block")])
"""What a claim can bring when nobody reads it again."""
