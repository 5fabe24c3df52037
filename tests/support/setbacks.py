"""What a gate says of a store that has lost what was acknowledged."""

from typing import Any

from tests.support.api_calls import QUIET, Api
from tests.support.metric_families import MAPS, SETBACKS

# No signature leaves by itself while a test runs.
LONG: dict[str, Any] = {"dedup_window_seconds": 60, "store_deadline_seconds": 10, **QUIET}


def counted(api: Api) -> dict[str, float]:
    """The setbacks that the gate has counted, by kind; without those of which there were none."""
    found = {kind: api.sample("store_setbacks_total", kind=kind) for kind in SETBACKS}
    return {kind: count for kind, count in found.items() if count != 0 and count is not None}


def lost(api: Api) -> list[float | None]:
    """How many signatures, transactions and observations the gate says were lost."""
    return [api.sample("store_lost_entries_total", map=name) for name in MAPS]


def totals(api: Api) -> list[float]:
    """All totals of the maps that are exported."""
    families = {family.name: family for family in api.runtime.metrics.registry.collect()}
    samples = [*families["tidegate_map_added"].samples, *families["tidegate_map_removed"].samples]
    return [sample.value for sample in samples]


async def told(api: Api) -> list[str]:
    """The warnings of setbacks."""
    return [text for text in (await api.stats())["warnings"] if "what had been acknowledged" in text]


def imbalance(api: Api) -> list[float | None]:
    """Return how far the counts of each map are from adding up."""
    return [api.sample("map_imbalance_entries", map=name) for name in MAPS]
