"""What grew in the store: our maps, others' keys, clients' buffers, or what its allocator keeps."""

from collections.abc import Mapping
from typing import NamedTuple

from app.guard.diagnosis.document import Cause, PartName
from app.guard.diagnosis.figures import StoreReading
from app.guard.diagnosis.split import ExplainedGrowth, blame, split
from app.models import MapName, MapSizes

# Ours all have an expiry, and there are at most this many of them: 64 buckets a map, two keys each at most.
FOREIGN_KEYS_LEAST, OWN_KEYS_MOST = 100, 2000


class EntryBytes(NamedTuple):
    """What an entry costs beyond its bytes in the ledger: structures of the hash, rounding of the allocator.

    An observation costs nothing that counts: up to 32 transactions share a field.
    """

    signature: int
    transaction: int


# Measured with flushes of 500; of single transactions some 60 to 100 bytes each are left unexplained.
_ENTRY_BYTES = {"valkey": EntryBytes(31, 31), "redis": EntryBytes(63, 63)}

_NAMED = {PartName.FOREIGN_KEYS: Cause.STORE_FOREIGN_KEYS}
_GENERAL = {
    PartName.MAPS: Cause.STORE_MAPS,
    PartName.CLIENTS: Cause.STORE_CLIENTS,
    PartName.FRAGMENTATION: Cause.STORE_FRAGMENTATION,
}
# Large blocks are mapped by themselves, and the last page of each is not full.
LAST_PAGE_SHARE = 0.05


def store_explained_bytes(maps: Mapping[MapName, MapSizes], server: str = "valkey") -> int:
    """Bytes of the store's memory that the entries of the maps account for, on `valkey` or `redis`."""
    cost = _ENTRY_BYTES.get(server, _ENTRY_BYTES["valkey"])
    entries = {name: sizes.entries for name, sizes in maps.items()}
    overhead = cost.signature * entries.get(MapName.SIGNATURES, 0)
    overhead += cost.transaction * entries.get(MapName.TRANSACTIONS, 0)
    mapped = maps[MapName.TRANSACTIONS].bytes if MapName.TRANSACTIONS in maps else 0
    return overhead + sum(sizes.bytes for sizes in maps.values()) + round(mapped * LAST_PAGE_SHARE)


def explain_store_growth(before: StoreReading, after: StoreReading) -> ExplainedGrowth:
    """Split the growth into parts and say what it is."""
    growth = after.resident_bytes - before.resident_bytes
    used = after.used_bytes - before.used_bytes
    maps = after.maps_bytes - before.maps_bytes
    clients = max(0, after.clients_bytes - before.clients_bytes)
    foreign = _foreign_keys(before, after)
    sizes = {
        PartName.MAPS: max(0, maps),
        PartName.CLIENTS: clients,
        PartName.FOREIGN_KEYS: max(0, used - maps - clients) if foreign else 0,
        PartName.FRAGMENTATION: max(0, growth - max(0, used)),
    }
    parts = split(growth, sizes, {PartName.FOREIGN_KEYS: foreign})
    return ExplainedGrowth(growth, parts, blame(growth, sizes, _NAMED, _GENERAL))


def _foreign_keys(before: StoreReading, after: StoreReading) -> int:
    without_expiry = after.keys_without_expiry - before.keys_without_expiry
    keys = after.keys - before.keys
    if without_expiry >= FOREIGN_KEYS_LEAST:
        return max(without_expiry, keys)
    return keys if keys > OWN_KEYS_MOST else 0
