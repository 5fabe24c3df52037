"""The settings in force now, with what scripts are told of them: one object, replaced as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.models import MapName
from app.settings.model import Settings
from app.store.partitions import Layout, partition_prefixes
from app.store.rules import MapRule, map_rules, packed_rules


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
    return Layout(prefixes, packed_rules(settings, len(prefixes), version))
