"""The rules of the maps: how much the store keeps of each and for how long, as settings and scripts say it.

A script is told what its partition (partitions.py) keeps. With 16 partitions and
TIDEGATE_TRANSACTIONS_LIMIT=160000, each call is told that a partition keeps 10,000 transactions, each for
120,000 milliseconds. `Layout` has these rules beside the prefixes that the keys of the partitions have.
"""

import struct
from dataclasses import dataclass

from app.models import MapName
from app.settings.model import Settings
from app.store.partitions import EARLIER_PARTITIONS, partition_of

UNLIMITED = 2**53
LEDGER_EXPIRY_SECONDS = 8 * 24 * 3600
SETTINGS_EXPIRY_SECONDS = 30 * 24 * 3600
# Gates of several versions may share a store; they follow one another's rules while this is the same.
RULES_FORMAT = 2
BUCKETS_A_LIMIT = 64
FLUSH_MAX_ITEMS = 1500


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


def flush_max_items(settings: Settings, partitions: int) -> int:
    """Never more in one script call than the smallest map of a partition can hold."""
    limits = (settings.signatures_limit, settings.transactions_limit, settings.observations_limit)
    return max(1, min(FLUSH_MAX_ITEMS, min(limits) // partitions))


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
class Layout:
    """The partitions of a store, and the rules as their scripts take them."""

    prefixes: tuple[str, ...]
    rules: bytes
    late_sample: int
    """One in so many signatures is looked through for late duplicates; 0 for none."""
    in_sample: bytes
    """A 1 for each last byte of a hash with which it is in that sample, else a 0."""
    start: tuple[bytes | int, ...]
    """What the tick tells the first partition of the gate's own start, and of that which holds for all."""

    @property
    def kept_partitions(self) -> int:
        """The number of partitions, for those of a Cluster to keep; 0 where it does not have to be kept."""
        partitions = len(self.prefixes)
        return 0 if partitions in (1, EARLIER_PARTITIONS) else partitions

    def prefix_of(self, digest: bytes) -> str:
        """Return the prefix of the partition in which a signature with this hash lives."""
        return self.prefixes[partition_of(digest, len(self.prefixes))]
