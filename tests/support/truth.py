"""What is really in the store, read with plain commands beside the gate."""

from dataclasses import dataclass

import msgspec
import redis

from app.models import MapName, MapSizes
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
    """The same on these nodes."""
    truth = Truth()
    for node in nodes:
        with node:
            for key in node.scan_iter(match="tidegate:*", count=1000):
                kind, bucket = key.decode().split(":")[-2:]
                if (kind, bucket) == ("observations", "buckets"):
                    truth.observations += _counted_only(node, key)
                if not bucket.isdigit():
                    continue
                if kind == "observations":
                    records: list[bytes] = node.hvals(key)  # type: ignore[assignment]
                    truth.observations += sum(record.count(b";") for record in records)
                elif kind in ("signatures", "transactions"):
                    setattr(truth, kind, getattr(truth, kind) + node.hlen(key))
    return truth


def _counted_only(node: redis.Redis, buckets: bytes) -> int:
    """Sightings that are counted in their buckets and not written; buckets expire by themselves."""
    seconds, microseconds = node.time()
    listed: list[bytes] = node.lrange(buckets, 0, -1)  # type: ignore[assignment]
    descriptors = map(msgspec.msgpack.decode, listed)
    now_ms = seconds * 1000 + microseconds // 1000
    return sum(counted for _, ends, _, _, counted, keep in descriptors if ends + keep > now_ms)


def assert_balanced(sizes: dict[MapName, MapSizes], truth: Truth) -> None:
    """Law 3: added minus removed is what is there, and is really there."""
    for name, figures in sizes.items():
        assert figures.added - sum(figures.removed.values()) == figures.entries, name
        assert figures.entries == getattr(truth, name), name
