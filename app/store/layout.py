"""What every script call is told: the partition's prefix, and the rules in force for its maps.

The rules say how much a partition (partitions.py) keeps of each map, and for how long. With 16
partitions and TIDEGATE_TRANSACTIONS_LIMIT=160000, each script call is told that a partition keeps 10,000
transactions, each for 120,000 milliseconds. `LiveSettings` holds the settings in force, with the prefixes and
rules made of them for the number of partitions that the store has, and replaces all at once.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from app.models import MapName
from app.settings.gate_name import gate_name
from app.settings.model import SHARED, Settings
from app.store.partitions import EARLIER_PARTITIONS, partition_of, partition_prefixes
from app.store.shared_settings import SharedSettings, Value

UNLIMITED = 2**53
LEDGER_EXPIRY_SECONDS = 8 * 24 * 3600
SETTINGS_EXPIRY_SECONDS = 30 * 24 * 3600
# Gates of several versions may share a store; they follow one another's rules while this is the same.
RULES_FORMAT = 2
BUCKETS_A_LIMIT = 64
FLUSH_MAX_ITEMS = 1500
GATE_NAME_BYTES = 64


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


def shared_values(settings: Settings) -> dict[str, Value]:
    """Return the settings that are one thing for a store."""
    return {name: getattr(settings, name) for name in SHARED}


def start_arguments(start: Settings, shared: SharedSettings) -> tuple[bytes | int, ...]:
    """Return the arguments 5 to 8 of sizes.lua: the gate's name, its own start, and what holds for all.

    Equal settings make equal texts: 5 seconds are 5.0, wherever they come from.
    """
    own = {
        name: float(value) if value is not None and Settings.model_fields[name].annotation is float else value
        for name, value in sorted(shared_values(start).items())
    }
    name = gate_name(start).encode().ljust(GATE_NAME_BYTES, b"\0")
    return name, msgspec.json.encode(own), shared.version, shared.text


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


@dataclass(frozen=True)
class SettingsInForce:
    """One state of the settings: the shared ones, the gate's own others, and so many changes at run time."""

    settings: Settings
    version: int
    start: Settings
    shared: SharedSettings
    rules: Mapping[MapName, MapRule]
    _layouts: dict[int, Layout] = field(default_factory=dict)

    def layout(self, partitions: int) -> Layout:
        """The layout of a store with so many partitions."""
        if partitions not in self._layouts:
            self._layouts[partitions] = self._layout(partitions)
        return self._layouts[partitions]

    def _layout(self, partitions: int) -> Layout:
        prefixes = partition_prefixes(self.settings.store_prefix, partitions)
        rules = packed_rules(self.settings, partitions, self.shared.rules_version(self.version))
        one_in = self.settings.late_sample
        in_sample = bytes(one_in > 0 and value % one_in == 0 for value in range(256))
        return Layout(prefixes, rules, one_in, in_sample, start_arguments(self.start, self.shared))


class LiveSettings:
    """Holds the settings in force for every part of the gate; parts keep this, never a value out of it."""

    def __init__(self, start: Settings) -> None:
        self.start = start
        """What the gate was started with."""
        self.base = start
        """Settings of the start, with the shared ones, which hold for all gates, in the place of its own."""
        self.shared = SharedSettings()
        """The shared settings as the store had them last."""
        self.differing: Mapping[str, tuple[Value, Value]] = {}
        """What the gate was started with and does not hold: its own value, and the one that does."""
        self._in_force = self._made(start, 0)
        self.ignored: str | None = None
        """A sentence on the stored settings, should they be such that this gate cannot take them."""

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._in_force.settings

    @property
    def rules(self) -> Mapping[MapName, MapRule]:
        """Each map's rule by the settings in force."""
        return self._in_force.rules

    @property
    def version(self) -> int:
        """How many changes at run time led to them."""
        return self._in_force.version

    @property
    def has_new_shared_settings(self) -> bool:
        """Whether the settings in force were made from other shared settings than those that hold."""
        return self._in_force.shared != self.shared

    def layout(self, partitions: int) -> Layout:
        """The layout of a store with so many partitions."""
        return self._in_force.layout(partitions)

    def replace(self, settings: Settings, version: int) -> None:
        """Put other settings in force, all at once."""
        self._in_force = self._made(settings, version)

    def _made(self, settings: Settings, version: int) -> SettingsInForce:
        return SettingsInForce(settings, version, self.start, self.shared, map_rules(settings))
