"""Splits growth into parts that add up to it, names the one to blame, and words a sentence.

An example, of a gate that grew by 24 MiB with 2,000 more connections of at least 8 KiB each:

    connections 16 MiB (count 2,000) + Python objects 5 MiB + unexplained 3 MiB = 24 MiB

Connections, tasks and metric series are *named* parts: they hold Python objects along with them, so one that
explains a quarter is to blame although objects are more. Of the *general* parts, such as Python objects, one
has to explain 40 %. For the store the named part is keys that are not Tidegate's, and the general ones are
its maps, buffers of clients, and what its allocator keeps.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from app.guard.diagnosis.diagnosis import Allocation, Cause, Part, PartName, TypeGrowth
from app.guard.diagnosis.object_counts import ObjectCounts
from app.guard.diagnosis.process_figures import ProcessFigures, StoreReading
from app.guard.diagnosis.tracing import USUAL_SMALL_BYTES, Traced

# What holds other things along with it is named although those are more; all else has to be most of it.
NAMED_SHARE, GENERAL_SHARE = 0.25, 0.4
# The least that one of them holds, without what it refers to; measured.
CONNECTION_BYTES = 8 * 1024
TASK_BYTES = 768
SERIES_BYTES = 800

TASK_TYPES = ("_asyncio.Task", "asyncio.tasks.Task")
SERIES_TYPES = ("prometheus_client.values.MutexValue",)

# Ours all have an expiry, and there are at most this many of them: 64 buckets a map, two keys each at most.
FOREIGN_KEYS_LEAST, OWN_KEYS_MOST = 100, 2000

_PROCESS_NAMED = {
    PartName.CONNECTIONS: Cause.CONNECTIONS,
    PartName.TASKS: Cause.TASKS,
    PartName.METRIC_SERIES: Cause.METRIC_LABELS,
}
_PROCESS_GENERAL = {
    PartName.PYTHON_OBJECTS: Cause.PYTHON_OBJECTS,
    PartName.C_HEAP: Cause.C_HEAP,
    PartName.ALLOCATOR_HELD: Cause.ALLOCATOR,
}
_STORE_NAMED = {PartName.FOREIGN_KEYS: Cause.STORE_FOREIGN_KEYS}
_STORE_GENERAL = {
    PartName.MAPS: Cause.STORE_MAPS,
    PartName.CLIENTS: Cause.STORE_CLIENTS,
    PartName.FRAGMENTATION: Cause.STORE_FRAGMENTATION,
}

PartSizes = dict[PartName, int]


class GrowthParts(NamedTuple):
    """Parts that add up to the growth of resident memory, and the cause that they point at."""

    growth_bytes: int
    parts: list[Part]
    cause: Cause

    def bytes_of(self, name: PartName) -> int:
        """Return the growth of one part; 0 when it is not among them."""
        return sum(part.bytes for part in self.parts if part.part is name)

    def count_of(self, name: PartName) -> int:
        """Return how many more there are of one part."""
        return sum(part.count or 0 for part in self.parts if part.part is name)


def split(growth_bytes: int, sizes: PartSizes, counts: Mapping[PartName, int]) -> list[Part]:
    """Make parts of the estimates: what they leave is unexplained, and all shrink where they are too much."""
    estimated = sum(sizes.values())
    scale = max(0, growth_bytes) / estimated if estimated > growth_bytes and estimated > 0 else 1.0
    parts = {name: round(size * scale) for name, size in sizes.items()}
    parts[PartName.UNEXPLAINED] = growth_bytes - sum(parts.values())
    return [Part(part=name, bytes=size, count=counts.get(name)) for name, size in parts.items()]


def blame(
    growth_bytes: int,
    sizes: PartSizes,
    named: Mapping[PartName, Cause],
    general: Mapping[PartName, Cause],
) -> Cause:
    """Return the cause of the named part that explains a quarter, else of the largest general one."""
    for causes, share in ((named, NAMED_SHARE), (general, GENERAL_SHARE)):
        most = max(causes, key=lambda name: sizes[name])
        if sizes[most] > 0 and sizes[most] >= share * growth_bytes:
            return causes[most]
    return Cause.UNKNOWN


@dataclass(frozen=True)
class ProcessEvidence:
    """Figures at the window's beginning and end, objects at the baseline and now, and what tracing showed."""

    before: ProcessFigures
    after: ProcessFigures
    objects_before: ObjectCounts
    objects_after: ObjectCounts
    traced: Traced

    @property
    def growth_bytes(self) -> int:
        """How much resident memory grew."""
        return self.after.resident_bytes - self.before.resident_bytes


def explain_process_growth(evidence: ProcessEvidence) -> GrowthParts:
    """Explain the growth of a gate or worker: the specific parts first, then heaps less what those hold."""
    growth, counts = evidence.growth_bytes, _counts(evidence)
    sizes = {
        PartName.CONNECTIONS: counts[PartName.CONNECTIONS] * CONNECTION_BYTES,
        PartName.TASKS: counts[PartName.TASKS] * TASK_BYTES,
        PartName.METRIC_SERIES: counts[PartName.METRIC_SERIES] * SERIES_BYTES,
        PartName.IN_FLIGHT: max(0, evidence.after.in_flight_bytes - evidence.before.in_flight_bytes),
    }
    spoken_for = sum(sizes.values())
    python, c_heap, freed = _heaps(evidence)
    sizes[PartName.PYTHON_OBJECTS] = max(0, python - spoken_for)
    sizes[PartName.C_HEAP] = max(0, c_heap - max(0, spoken_for - python))
    sizes[PartName.ALLOCATOR_HELD] = max(0, min(freed, growth - sum(sizes.values())))
    sizes[PartName.DESCRIPTORS] = 0
    return GrowthParts(
        growth, split(growth, sizes, counts), blame(growth, sizes, _PROCESS_NAMED, _PROCESS_GENERAL)
    )


def _counts(evidence: ProcessEvidence) -> dict[PartName, int]:
    before, after = evidence.before, evidence.after
    descriptors = max(0, (after.descriptors or 0) - (before.descriptors or 0))
    tasks = max(after.tasks - before.tasks, _more(evidence, TASK_TYPES))
    return {
        # Those the gate opened itself are no client's; open files are mostly sockets.
        PartName.CONNECTIONS: max(0, after.connections - before.connections, descriptors),
        PartName.TASKS: max(0, tasks),
        PartName.METRIC_SERIES: max(0, _more(evidence, SERIES_TYPES)),
        PartName.DESCRIPTORS: descriptors,
    }


def _more(evidence: ProcessEvidence, types: Iterable[str]) -> int:
    return sum(evidence.objects_after.get(name, 0) - evidence.objects_before.get(name, 0) for name in types)


def _heaps(evidence: ProcessEvidence) -> tuple[int, int, int]:
    """Return the growth of Python objects, of what else `malloc` handed out, and of what it keeps free."""
    before, after, traced = evidence.before, evidence.after, evidence.traced
    mean = traced.mean_small_bytes or USUAL_SMALL_BYTES
    small = max(0, round((after.python_blocks - before.python_blocks) * mean))
    if before.heap is None or after.heap is None:
        return small, 0, 0
    used = max(0, after.heap.used_bytes - before.heap.used_bytes)
    freed = after.heap.free_bytes - before.heap.free_bytes
    share = traced.python_share_of_heap
    if share is None:
        # Nobody can tell whose it is: it stays unexplained.
        return small, 0, freed
    return small + round(share * used), round((1 - share) * used), freed


def explain_store_growth(before: StoreReading, after: StoreReading) -> GrowthParts:
    """Explain the growth of the store by its maps, foreign keys, clients and fragmentation."""
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
    return GrowthParts(growth, parts, blame(growth, sizes, _STORE_NAMED, _STORE_GENERAL))


def _foreign_keys(before: StoreReading, after: StoreReading) -> int:
    without_expiry = after.keys_without_expiry - before.keys_without_expiry
    keys = after.keys - before.keys
    if without_expiry >= FOREIGN_KEYS_LEAST:
        return max(without_expiry, keys)
    return keys if keys > OWN_KEYS_MOST else 0


MIB = 1024 * 1024
MINUTE_SECONDS = 60

_PARTS = {
    cause: part
    for causes in (_PROCESS_NAMED, _PROCESS_GENERAL, _STORE_NAMED, _STORE_GENERAL)
    for part, cause in causes.items()
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
    growth: GrowthParts,
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
