"""What is really in the store, read with plain commands beside the gate."""

from collections.abc import Iterable
from dataclasses import dataclass

import redis

from app.models import MapName, MapSizes
from app.store.partition_sizes import PartitionSizes
from tests.support.servers import StoreServer


@dataclass
class Truth:
    """Entries counted in the bucket keys themselves."""

    signatures: int = 0
    transactions: int = 0
    observations: int = 0


def count_entries(server: StoreServer) -> Truth:
    """Count the entries of all live buckets of all partitions, on every master."""
    return count_entries_of(*server.nodes())


def count_entries_of(*nodes: redis.Redis) -> Truth:
    """Count the entries on these nodes with plain commands."""
    truth = Truth()
    for node in nodes:
        with node:
            for key in node.scan_iter(match="tidegate:*", count=1000):
                kind, bucket = key.decode().split(":")[-2:]
                if not bucket.isdigit():
                    continue
                if kind == "observations":
                    records: dict[bytes, bytes] = node.hgetall(key)  # type: ignore[assignment]
                    truth.observations += sum(_noted(record) for field, record in records.items() if field)
                elif kind in ("signatures", "transactions"):
                    setattr(truth, kind, getattr(truth, kind) + count_fields(node, key))
    return truth


def count_fields(node: redis.Redis, key: str | bytes) -> int:
    """Count the entries of a bucket: all fields but the one that tells that its key has an expiry."""
    return int(node.hlen(key)) - int(node.hexists(key, ""))


def _noted(record: bytes) -> int:
    """Sightings in a record of 32 places of a block."""
    places = (int(sighting.rpartition(b",")[2]) for sighting in record.split(b";")[1:])
    return sum((bits & 0xFFFFFFFF).bit_count() for bits in places)


def assert_nothing_lost(parts: Iterable[PartitionSizes]) -> None:
    """Find all that the ledgers list in its place, and no partition that knows less than it had told."""
    for part in parts:
        assert (part.gone, part.fall.entries) == ({}, 0), part


def assert_balanced(sizes: dict[MapName, MapSizes], truth: Truth) -> None:
    """Law 3: added minus removed is what is there, and is really there."""
    for name, figures in sizes.items():
        assert figures.added - sum(figures.removed.values()) == figures.entries, name
        assert figures.entries == getattr(truth, name), name
