"""Puts a diagnosis into words, for somebody who was just woken by it."""

from collections.abc import Mapping

from app.guard.diagnosis.document import Allocation, Cause, PartName, TypeGrowth
from app.guard.diagnosis.explained_growth import ExplainedGrowth

MIB = 1024 * 1024
MINUTE_SECONDS = 60

_PARTS = {
    Cause.PYTHON_OBJECTS: PartName.PYTHON_OBJECTS,
    Cause.C_HEAP: PartName.C_HEAP,
    Cause.CONNECTIONS: PartName.CONNECTIONS,
    Cause.TASKS: PartName.TASKS,
    Cause.METRIC_LABELS: PartName.METRIC_SERIES,
    Cause.ALLOCATOR: PartName.ALLOCATOR_HELD,
    Cause.STORE_MAPS: PartName.MAPS,
    Cause.STORE_FOREIGN_KEYS: PartName.FOREIGN_KEYS,
    Cause.STORE_CLIENTS: PartName.CLIENTS,
    Cause.STORE_FRAGMENTATION: PartName.FRAGMENTATION,
}
_WORDS = {
    Cause.PYTHON_OBJECTS: "{size} of it in Python objects",
    Cause.C_HEAP: "{size} of it in memory that a C library took and no Python object holds",
    Cause.CONNECTIONS: "with {count:+,} open connections or files",
    Cause.TASKS: "with {count:+,} asyncio tasks",
    Cause.METRIC_LABELS: "with {count:+,} time series of metrics: a label has too many values",
    Cause.ALLOCATOR: "{size} of it freed by the program but kept by the allocator",
    Cause.STORE_MAPS: "{size} of it in the maps: more is stored, or kept for longer",
    Cause.STORE_FOREIGN_KEYS: "{size} of it in {count:+,} keys that are not Tidegate's: who writes them?",
    Cause.STORE_CLIENTS: "{size} of it in buffers of the store's clients",
    Cause.STORE_FRAGMENTATION: "{size} of it free inside the store but not given back to the system",
    Cause.UNKNOWN: "and nothing that is known of explains it",
}
_LOOK_AT_TYPES = frozenset({Cause.PYTHON_OBJECTS, Cause.C_HEAP})
_LOOK_AT_PLACES = frozenset({Cause.PYTHON_OBJECTS, Cause.TASKS, Cause.METRIC_LABELS})


def sentence(
    process: str,
    seconds: float,
    growth: ExplainedGrowth,
    types: list[TypeGrowth],
    places: list[Allocation],
) -> str:
    """Say who grew by how much, what it is, which objects, and where they come from."""
    cause = growth.cause
    part = _PARTS.get(cause, PartName.UNEXPLAINED)
    what = _WORDS[cause].format(size=_mib(growth.bytes_of(part)), count=growth.count_of(part))
    who = f"The {process}" if process in ("gate", "store") else process.capitalize()
    text = f"{who} grew {_mib(growth.growth_bytes)} in {_duration(seconds)}, {what}"
    if types and cause in _LOOK_AT_TYPES:
        text += f"; most of all {types[0].count:+,} `{types[0].type}`"
    if places and cause in _LOOK_AT_PLACES:
        text += f"; most was allocated at {places[0].place}"
    return f"{text}."


def relief(released: Mapping[str, int]) -> str:
    """Say how much the guard's actions gave back together."""
    return f"What the guard did gave back {_mib(sum(released.values()))}."


def _mib(size: int) -> str:
    return f"{size / MIB:.1f} MiB"


def _duration(seconds: float) -> str:
    if seconds < 2 * MINUTE_SECONDS:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE_SECONDS:.0f} min"
