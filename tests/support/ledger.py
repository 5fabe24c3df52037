"""The ledger of a partition, read and changed beside the gate, as ledger.lua in app/store/lua lays it out."""

from dataclasses import dataclass

import redis

from app.models import MapName
from tests.support.servers import StoreClient

FORMAT = 2
_HEAD_BYTES, _MAP_BYTES, _BUCKET_BYTES, _NUMBER_BYTES = 28, 118, 39, 7
_ADDED, _COUNT = slice(14, 21), slice(77, 79)
_ID, _LATEST_BLOCK = slice(0, 7), slice(28, 32)


def store_key(prefix: str, *parts: str) -> str:
    """Name a key of a partition, for example `tidegate:{0}:2:rules`."""
    return ":".join([prefix, str(FORMAT), *parts])


@dataclass
class Ledger:
    """What a ledger says, as far as tests ask for it."""

    version: int
    """The version of the rules in force."""
    buckets: dict[MapName, list[bytearray]]
    """The descriptors of each map's buckets, oldest first."""
    heads: dict[MapName, bytes]
    head: bytes

    def encoded(self) -> bytes:
        """Encode the ledger again, with what was changed in the buckets."""
        heads, older = [self.head], []
        for name in MapName:
            heads.append(self.heads[name][: _COUNT.stop])
            heads.append(b"".join(self.buckets[name][-1:]) or bytes(_BUCKET_BYTES))
            older += self.buckets[name][:-1]
        return b"".join([*heads, *older])

    def entries(self, name: MapName) -> int:
        """Tell how many entries a map holds."""
        return int.from_bytes(self.heads[name][:_NUMBER_BYTES])

    @property
    def accepted(self) -> int:
        """Tell how many signatures were ever accepted."""
        return int.from_bytes(self.heads[MapName.SIGNATURES][_ADDED])

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """List the buckets of transactions: the id of each, and the number of its latest block."""
        buckets = self.buckets[MapName.TRANSACTIONS]
        return [(int.from_bytes(one[_ID]), int.from_bytes(one[_LATEST_BLOCK])) for one in buckets]

    def next_block_as_last(self) -> None:
        """Make the next block of transactions take the number of the last one."""
        self.set_latest_block(self.blocks[-1][1] - 1)

    def set_latest_block(self, number: int) -> None:
        """Make the blocks to come have the numbers after this one."""
        self.buckets[MapName.TRANSACTIONS][-1][_LATEST_BLOCK] = number.to_bytes(4)


def read_ledger(node: StoreClient, prefix: str = "tidegate:{0}") -> Ledger:
    """Read the ledger of a partition, from the server that holds it or from the Cluster."""
    stored: bytes | None = node.get(store_key(prefix, "ledger"))  # type: ignore[assignment]
    text = stored or bytes(_HEAD_BYTES + len(MapName) * _MAP_BYTES)
    heads, buckets = dict[MapName, bytes](), dict[MapName, list[bytearray]]()
    at = _HEAD_BYTES + len(MapName) * _MAP_BYTES
    for position, name in enumerate(MapName):
        begins = _HEAD_BYTES + position * _MAP_BYTES
        heads[name] = text[begins : begins + _MAP_BYTES]
        older = max(int.from_bytes(heads[name][_COUNT]) - 1, 0)
        end = at + older * _BUCKET_BYTES
        buckets[name] = [bytearray(text[of : of + _BUCKET_BYTES]) for of in range(at, end, _BUCKET_BYTES)]
        if heads[name][_COUNT] != bytes(2):
            buckets[name].append(bytearray(heads[name][_COUNT.stop :]))
        at = end
    assert at == len(text)
    return Ledger(int.from_bytes(text[:_NUMBER_BYTES]), buckets, heads, text[:_HEAD_BYTES])


def write_ledger(node: redis.Redis, ledger: Ledger, prefix: str = "tidegate:{0}") -> None:
    """Put a changed ledger in its place."""
    node.set(store_key(prefix, "ledger"), ledger.encoded(), keepttl=True)
