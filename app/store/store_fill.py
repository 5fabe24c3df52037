"""How full the store is, what of it the maps hold, and what helps: one wording for all who tell it.

For example, where another program fills the gates' Redis, `GET /readyz`, every 503 and the warnings say

    the store is full (48.0 of 48.0 MiB). The maps hold 1.1 MiB of it: something else fills the store, and a
    cleanup does not help. Raise its maxmemory
"""

from collections.abc import Mapping
from typing import NamedTuple

from app.models import MapName, MapSizes

CLEANUP_HELPS_RATIO = 0.2
"""An emergency cleanup can help where the maps hold more than this share of the store's limit.

It frees about half of what they hold, as it cuts a retention of 120 s to 60 s. Of a fifth that is a tenth of
the limit: what lies between being near it (90 %) and not being near it any more (80 %). The rules in
deploy/prometheus/rules/service.rules.yml have the same figure.
"""


class EntryBytes(NamedTuple):
    """What an entry costs beyond its bytes in the ledger: structures of the hash, rounding of the allocator.

    An observation costs nothing that counts: up to 32 transactions share a field.
    """

    signature: int
    transaction: int


# Measured with flushes of 500; of single transactions some 60 to 100 bytes each are left unexplained.
_ENTRY_BYTES = {"valkey": EntryBytes(31, 31), "redis": EntryBytes(63, 63)}
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


class StoreFill(NamedTuple):
    """What the store uses, its limit, and what of that the maps account for, in bytes over all masters."""

    used_bytes: int
    limit_bytes: int
    """0 if a master has none."""
    maps_bytes: int
    limit_setting: str = "its maxmemory"
    """What sets the limit."""

    @property
    def cleanup_helps(self) -> bool:
        """Whether an emergency cleanup can free enough to matter."""
        return self.maps_bytes > CLEANUP_HELPS_RATIO * (self.limit_bytes or self.used_bytes)

    def sentence(self, state: str) -> str:
        """Say that the store is `state`, such as `full`, and what helps; without a full stop at the end."""
        limit = f" of {_mib(self.limit_bytes)}" if self.limit_bytes else ""
        helps = (
            f"run POST /cleanup/emergency. Raise {self.limit_setting}, "
            "or lower TIDEGATE_TRANSACTIONS_LIMIT_BYTES"
            if self.cleanup_helps
            else f"something else fills the store, and a cleanup does not help. Raise {self.limit_setting}"
        )
        return (
            f"the store is {state} ({_mib(self.used_bytes)}{limit} MiB). "
            f"The maps hold {_mib(self.maps_bytes)} MiB of it: {helps}"
        )


def limit_setting(store_url: str | None) -> str:
    """Name what sets the store's memory limit: a setting for the embedded one, which has no address."""
    return "its maxmemory" if store_url else "TIDEGATE_EMBEDDED_STORE_LIMIT_BYTES"


def _mib(amount: int) -> str:
    return f"{amount / 2**20:.1f}"
