"""The settings in force, for every part of the gate, and what every script call of the store is told of them.

`LiveSettings` holds the settings in force, with the prefixes of the keys and the rules of the maps
(map_rules.py) made of them for the number of partitions that the store has, and replaces all at once. Whose
settings hold when gates on one store differ, the store decides (lua/parts/choose_shared_settings.lua).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from app.models import MapName
from app.settings.gate_name import gate_name
from app.settings.model import COMPARED, Settings
from app.store.map_rules import Layout, MapRule, map_rules, packed_rules
from app.store.partitions import partition_prefixes
from app.store.shared_settings import SharedSettings, Value

GATE_NAME_BYTES = 64


def compared_values(settings: Settings) -> dict[str, Value]:
    """Return the settings that gates of a store are compared by."""
    return {name: getattr(settings, name) for name in COMPARED}


def start_arguments(start: Settings, shared: SharedSettings) -> tuple[bytes | int, ...]:
    """Return the arguments 5 to 8 of sizes.lua: the gate's name, its own start, and what holds for all.

    Equal settings make equal texts: 5 seconds are 5.0, wherever they come from.
    """
    own = {
        name: float(value) if value is not None and Settings.model_fields[name].annotation is float else value
        for name, value in sorted(compared_values(start).items())
    }
    name = gate_name(start).encode().ljust(GATE_NAME_BYTES, b"\0")
    return name, msgspec.json.encode(own), shared.version, shared.text


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
        self.told: Mapping[str, Value] = {}
        """What the store has of the settings that gates are compared by, as far as it has them."""
        self.differing: Mapping[str, tuple[Value, Value]] = {}
        """What the gate was started with and the store has otherwise: its own value, and that."""
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
