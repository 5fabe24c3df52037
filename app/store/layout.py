"""Where data lives in the store, and by which rules: what every script call is told.

A signature lives in the partition of its hash. A standalone store has one partition. A Cluster has six. Their
hash tags are chosen so that their slots lie evenly over the 16,384 (two a node with three masters, one with
six), so every script call stays on one slot, and every master takes its part.

The rules say how much a partition keeps of each map, and for how long. With six partitions and
TIDEGATE_TRANSACTIONS_LIMIT=60000, each script call is told that a partition keeps 10,000 transactions, each
for 120,000 milliseconds. `LiveSettings` holds the settings in force, with the partitions and rules made of
them, and replaces all at once.
"""

import struct
from binascii import crc_hqx
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count

from app.models import MapName
from app.settings.model import Settings

CLUSTER_PARTITIONS = 6
SLOTS = 16_384
# The number of this format in the keys, as in lua/parts/prelude.lua.
FORMAT = 2
HASH_BYTES = 16
_EMPTY = blake2b(digest_size=HASH_BYTES)
UNLIMITED = 2**53
LEDGER_EXPIRY_SECONDS = 8 * 24 * 3600
SETTINGS_EXPIRY_SECONDS = 30 * 24 * 3600
# Gates of several versions may share a store; they follow one another's rules while this is the same.
RULES_FORMAT = 2
BUCKETS_A_LIMIT = 64
FLUSH_MAX_ITEMS = 1500


@dataclass(frozen=True)
class Layout:
    """The partitions of a store, and the rules as their scripts take them."""

    prefixes: tuple[str, ...]
    rules: bytes
    late_sample: int
    """One in so many signatures is looked through for late duplicates; 0 for none."""
    in_sample: bytes
    """A 1 for each last byte of a hash with which it is in that sample, else a 0."""


def signature_hash(signature: str) -> bytes:
    """Hash to 16 bytes by BLAKE2b (RFC 7693): nobody can make two signatures meet, not even on purpose."""
    return blake2b(signature.encode(), digest_size=HASH_BYTES).digest()


def signature_hashes(signatures: Iterable[str]) -> list[bytes]:
    """Hash each signature; a copy of an empty state takes three quarters of the time of a new one."""
    hashes, empty = [], _EMPTY.copy
    for text in map(str.encode, signatures):
        state = empty()
        state.update(text)
        hashes.append(state.digest())
    return hashes


def partition_prefixes(prefix: str, is_cluster: bool) -> tuple[str, ...]:
    """The key prefix of each partition, its hash tag in braces."""
    if not is_cluster:
        return (f"{prefix}:{{0}}",)
    return tuple(f"{prefix}:{{{_tag(number)}}}" for number in range(CLUSTER_PARTITIONS))


def ledger_key(prefix: str) -> str:
    """The key of the bookkeeping of the only partition of a store that is no Cluster."""
    return f"{partition_prefixes(prefix, is_cluster=False)[0]}:{FORMAT}:ledger"


def key_slot(key: bytes) -> int:
    """The slot of a key in a Cluster: CRC-16/XMODEM of what stands in its first braces, else of all of it."""
    _, opened, rest = key.partition(b"{")
    tag, closed, _ = rest.partition(b"}")
    return crc_hqx(tag if opened and closed and tag else key, 0) % SLOTS


def partition_of(digest: bytes, partitions: int) -> int:
    """The partition of a signature, by the first bytes of its hash."""
    return int.from_bytes(digest[:4]) % partitions


def _tag(number: int) -> str:
    width = SLOTS // CLUSTER_PARTITIONS
    tags = (f"{number}.{n}" for n in count())
    return next(tag for tag in tags if key_slot(tag.encode()) // width == number)


@dataclass(frozen=True)
class MapRule:
    """One map's figures for the whole store: retention, cleanup interval, emergency retention, limits."""

    retention_seconds: float
    emergency_retention_seconds: float
    interval_seconds: float
    buckets_a_retention: int
    limit: int
    limit_bytes: int | None
    warn_entries: int
    refuses_at_limit: bool = False


def map_rules(settings: Settings) -> dict[MapName, MapRule]:
    """The rule of each map; a signature's emergency retention is its window: it is never cut."""
    s = settings
    return {
        MapName.SIGNATURES: MapRule(
            s.dedup_window_seconds,
            s.dedup_window_seconds,
            s.signature_cleanup_interval_seconds,
            5,
            s.signatures_limit,
            None,
            _warn(s.signatures_warn_entries, s.signatures_limit),
            refuses_at_limit=True,
        ),
        MapName.TRANSACTIONS: MapRule(
            s.transaction_retention_seconds,
            s.emergency_transaction_retention_seconds,
            s.cleanup_interval_seconds,
            24,
            s.transactions_limit,
            s.transactions_limit_bytes,
            _warn(s.transactions_warn_entries, s.transactions_limit),
        ),
        MapName.OBSERVATIONS: MapRule(
            s.observation_retention_seconds,
            s.emergency_observation_retention_seconds,
            s.cleanup_interval_seconds,
            24,
            s.observations_limit,
            None,
            _warn(s.observations_warn_entries, s.observations_limit),
        ),
    }


def _warn(entries: int | None, limit: int) -> int:
    return entries if entries is not None else int(0.8 * limit)


def flush_max_items(settings: Settings) -> int:
    """Never more in one script call than the smallest map of a partition can hold."""
    limits = (settings.signatures_limit, settings.transactions_limit, settings.observations_limit)
    return max(1, min(FLUSH_MAX_ITEMS, min(limits) // CLUSTER_PARTITIONS))


def packed_rules(settings: Settings, partitions: int, version: int = 0) -> bytes:
    """ARGV[1] of every script, as `unpack_rules` in prelude.lua reads it: all times in milliseconds."""
    numbers = [
        version,
        _milliseconds(settings.dedup_window_seconds),
        settings.max_sources,
        _milliseconds(LEDGER_EXPIRY_SECONDS),
        _milliseconds(SETTINGS_EXPIRY_SECONDS),
    ]
    for rule in map_rules(settings).values():
        numbers += _numbers(rule, partitions)
    return struct.pack(f">B{len(numbers)}Q", RULES_FORMAT, *numbers)


def _numbers(rule: MapRule, partitions: int) -> list[int]:
    limit = max(1, rule.limit // partitions)
    limit_bytes = max(1, rule.limit_bytes // partitions) if rule.limit_bytes else UNLIMITED
    buckets = 1 if rule.refuses_at_limit else BUCKETS_A_LIMIT
    return [
        _milliseconds(rule.retention_seconds),
        _milliseconds(rule.emergency_retention_seconds),
        max(1, _milliseconds(rule.retention_seconds) // rule.buckets_a_retention),
        _milliseconds(rule.interval_seconds),
        limit,
        limit_bytes,
        max(1, limit // buckets),
        max(1, limit_bytes // buckets),
    ]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


@dataclass(frozen=True)
class Current:
    """One state of the settings; 0 is the version of those the gate was started with."""

    settings: Settings
    version: int
    rules: Mapping[MapName, MapRule]
    single: Layout
    cluster: Layout


class LiveSettings:
    """Holds the current settings for every part of the gate; parts keep this, never a value out of it."""

    def __init__(self, start: Settings) -> None:
        self.start = start
        self.current = _current(start, 0)
        self.ignored: str | None = None
        """A sentence on the stored settings, should they be such that this gate cannot take them."""

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.current.settings

    @property
    def rules(self) -> Mapping[MapName, MapRule]:
        """Each map's rule by the settings in force."""
        return self.current.rules

    @property
    def version(self) -> int:
        """How many changes led to them, 0 for those of the start."""
        return self.current.version

    def layout(self, is_cluster: bool) -> Layout:
        """The layout of a single store or of a cluster."""
        return self.current.cluster if is_cluster else self.current.single

    def replace(self, settings: Settings, version: int) -> None:
        """Put other settings in force, all at once."""
        self.current = _current(settings, version)


def _current(settings: Settings, version: int) -> Current:
    return Current(
        settings,
        version,
        map_rules(settings),
        _layout(settings, version, is_cluster=False),
        _layout(settings, version, is_cluster=True),
    )


def _layout(settings: Settings, version: int, *, is_cluster: bool) -> Layout:
    prefixes = partition_prefixes(settings.store_prefix, is_cluster)
    rules, one_in = packed_rules(settings, len(prefixes), version), settings.late_sample
    in_sample = bytes(one_in > 0 and value % one_in == 0 for value in range(256))
    return Layout(prefixes, rules, one_in, in_sample)
