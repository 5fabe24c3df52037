"""The ledger of a partition, read and changed beside the gate, as ledger.lua in app/store/lua lays it out."""

from dataclasses import dataclass

import redis

from app.models import MapName

FORMAT = 2
_HEAD_BYTES, _MAP_BYTES, _BUCKET_BYTES, _NUMBER_BYTES = 21, 118, 39, 7
_COUNT = slice(77, 79)
_LATEST_BLOCK = slice(28, 32)


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
        """Encode it again, with what was changed in the buckets."""
        heads, older = [self.head], []
        for name in MapName:
            heads.append(self.heads[name][: _COUNT.stop])
            heads.append(b"".join(self.buckets[name][-1:]) or bytes(_BUCKET_BYTES))
            older += self.buckets[name][:-1]
        return b"".join([*heads, *older])

    def entries(self, name: MapName) -> int:
        """Tell how many entries a map holds."""
        return int.from_bytes(self.heads[name][:_NUMBER_BYTES])

    def next_block_as_last(self) -> None:
        """Make the next block of transactions take the number of the last one."""
        bucket = self.buckets[MapName.TRANSACTIONS][-1]
        number = int.from_bytes(bucket[_LATEST_BLOCK]) - 1
        bucket[_LATEST_BLOCK] = number.to_bytes(4)


def read_ledger(node: redis.Redis, prefix: str = "tidegate:{0}") -> Ledger:
    """Read the ledger of a partition from the server that holds it."""
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
