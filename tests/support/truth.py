"""What is really in the store, read with plain commands beside the gate."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import redis

from app.models import MapName, MapSizes
from app.store.partition_sizes import PartitionSizes


class Store(Protocol):
    """Servers of which some hold the keys."""

    def masters(self) -> list[redis.Redis]:
        """Open a plain client for each that holds keys; the caller closes them."""


@dataclass
class Truth:
    """Entries counted in the bucket keys themselves."""

    signatures: int = 0
    transactions: int = 0
    observations: int = 0


def count_entries(store: Store) -> Truth:
    """Count the entries of all live buckets of all partitions, on every master."""
    return count_entries_of(*store.masters())


def count_entries_of(*nodes: redis.Redis) -> Truth:
    """Count the entries on these nodes with plain commands, all buckets of a node in one round trip."""
    truth = Truth()
    for node in nodes:
        with node:
            for kind, count in _counted_buckets(node):
                setattr(truth, kind, getattr(truth, kind) + count)
    return truth


def _counted_buckets(node: redis.Redis) -> Iterator[tuple[str, int]]:
    """The map of each bucket of a node, and how many entries it has."""
    names = (key.decode().split(":") for key in node.scan_iter(match="tidegate:*", count=1000))
    buckets = [name for name in names if name[-1].isdigit() and name[-2] in vars(Truth())]
    pipeline = node.pipeline(transaction=False)
    for name in buckets:
        key = ":".join(name)
        pipeline.hexists(key, "")
        (pipeline.hgetall if name[-2] == "observations" else pipeline.hlen)(key)
    answers = iter(pipeline.execute())
    for name in buckets:
        has_mark, found = next(answers), next(answers)
        if name[-2] == "observations":
            yield name[-2], sum(_noted(record) for field, record in found.items() if field)
        else:
            yield name[-2], found - has_mark


def kept_hashes(store: Store) -> set[bytes]:
    """Return the hashes of all transactions in the store, whatever its format."""
    hashes = set[bytes]()
    for node in store.masters():
        with node:
            for key in node.scan_iter(match="tidegate:*:transactions:*", count=1000):
                if key.rpartition(b":")[2].isdigit():
                    hashes.update(node.hkeys(key))  # type: ignore[arg-type]  # its fields are bytes
    return hashes - {b""}


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
