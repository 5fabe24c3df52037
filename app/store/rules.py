"""What the scripts are told of windows, retentions and limits, for one partition, packed once."""

from dataclasses import dataclass

import msgspec

from app.models import MapName
from app.settings.model import Settings
from app.store.partitions import CLUSTER_PARTITIONS

UNLIMITED = 2**53
LEDGER_EXPIRY_SECONDS = 8 * 24 * 3600
SETTINGS_EXPIRY_SECONDS = 30 * 24 * 3600
# Gates of several versions may share a store; they follow one another's rules while this is the same.
RULES_FORMAT = 1
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


def flush_max_items(settings: Settings) -> int:
    """Never more in one script call than the smallest map of a partition can hold."""
    limits = (settings.signatures_limit, settings.transactions_limit, settings.observations_limit)
    return max(1, min(FLUSH_MAX_ITEMS, min(limits) // CLUSTER_PARTITIONS))


def packed_rules(settings: Settings, partitions: int, version: int = 0) -> bytes:
    """ARGV[1] of every script, as msgpack: all times in milliseconds."""
    return msgspec.msgpack.encode(
        {
            "format": RULES_FORMAT,
            "version": version,
            "window": _milliseconds(settings.dedup_window_seconds),
            "sources": settings.max_sources,
            "ledger_expiry": _milliseconds(LEDGER_EXPIRY_SECONDS),
            "settings_expiry": _milliseconds(SETTINGS_EXPIRY_SECONDS),
            "maps": {name: _packed(rule, partitions) for name, rule in map_rules(settings).items()},
        }
    )


def _packed(rule: MapRule, partitions: int) -> dict[str, int]:
    limit = max(1, rule.limit // partitions)
    limit_bytes = max(1, rule.limit_bytes // partitions) if rule.limit_bytes else UNLIMITED
    buckets = 1 if rule.refuses_at_limit else BUCKETS_A_LIMIT
    return {
        "retention": _milliseconds(rule.retention_seconds),
        "emergency": _milliseconds(rule.emergency_retention_seconds),
        "width": max(1, _milliseconds(rule.retention_seconds) // rule.buckets_a_retention),
        "interval": _milliseconds(rule.interval_seconds),
        "limit": limit,
        "limit_bytes": limit_bytes,
        "share": max(1, limit // buckets),
        "share_bytes": max(1, limit_bytes // buckets),
    }


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
