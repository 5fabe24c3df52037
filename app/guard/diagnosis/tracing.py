"""Tracing Python's allocations for some seconds: how much of what grows is Python's, and where it is made.

Started only when a leak is certain, with one frame a trace, and stopped soon: it makes allocating several
times slower. It ends early when there are so many traces that reading them would hold up the gate.
"""

import asyncio
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePath
from typing import NamedTuple

from app.guard.diagnosis.diagnosis import Allocation
from app.guard.leak.statistics import theil_sen
from app.process.heap import Heap

LEAST_SECONDS, MOST_SECONDS = 6.0, 60.0
# Traced for as long as it takes so much to leak.
ENOUGH_BYTES = 1024 * 1024
READ_SECONDS = 0.1
# Of tracemalloc's own tables: 60 bytes a trace, and looking at one takes a microsecond or two.
TABLE_BYTES = 1024 * 1024
# The first when what comes and goes has been traced once.
LOOKS = 5
# CPython's allocator serves up to this size, `malloc` what is larger.
SMALL_BYTES = 512
USUAL_SMALL_BYTES = 80.0
# Less than this while tracing is noise.
LEAST_HEAP_BYTES = 128 * 1024
FLOORS = 40
TOP_PLACES = 10
SHOWN_PATH_PARTS = 3

_OUR_OWN = frozenset({tracemalloc.__file__, __file__})

Place = tuple[str, int]


class Held(NamedTuple):
    """Bytes and objects that one line of code has allocated and still holds."""

    bytes: int
    objects: int

    @property
    def is_large(self) -> bool:
        """Whether its objects lie in the heap of `malloc`."""
        return self.bytes > SMALL_BYTES * max(1, self.objects)


NOTHING = Held(0, 0)

Look = dict[Place, Held]


class HeapReading(NamedTuple):
    """Bytes of `malloc` in use at a moment, without tracemalloc's tables."""

    at_seconds: float
    used_bytes: int


@dataclass(frozen=True)
class Traced:
    """What grew from the first look to the last: the heap, the large Python objects in it, and all places."""

    seconds: float = 0.0
    heap_bytes: int = 0
    large_python_bytes: int = 0
    mean_small_bytes: float = USUAL_SMALL_BYTES
    places: list[Allocation] = field(default_factory=list)

    @property
    def python_share_of_heap(self) -> float | None:
        """How much of what grew in `malloc` belongs to Python objects; None when too little grew."""
        if self.heap_bytes < LEAST_HEAP_BYTES:
            return None
        return min(1.0, self.large_python_bytes / self.heap_bytes)


NOT_TRACED = Traced()


def seconds_for(slope_bytes_per_hour: float) -> float:
    """Return how many seconds to trace a leak of this rate: as long as 1 MiB takes, 6 to 60."""
    rate = max(1.0, slope_bytes_per_hour / 3600)
    return min(MOST_SECONDS, max(LEAST_SECONDS, ENOUGH_BYTES / rate))


async def trace(seconds: float, heap: Callable[[], Heap] | None) -> Traced:
    """Trace allocations for so many seconds, or shorter; not at all while somebody else traces."""
    if tracemalloc.is_tracing():
        return NOT_TRACED
    began = time.monotonic()
    snapshots: list[tracemalloc.Snapshot] = []
    readings: list[HeapReading] = []
    spent = 0
    tracemalloc.start(1)
    try:
        await _watch(seconds / LOOKS, heap, TABLE_BYTES // LOOKS, spent)
        snapshots.append(tracemalloc.take_snapshot())
        for number in range(2, LOOKS + 1):
            readings += await _watch(seconds / LOOKS, heap, number * TABLE_BYTES // LOOKS, spent)
            before = _used_bytes(heap)
            snapshots.append(tracemalloc.take_snapshot())
            spent += _used_bytes(heap) - before
    finally:
        tracemalloc.stop()
    took = time.monotonic() - began
    return await asyncio.to_thread(_traced, took, snapshots, readings)


async def _watch(
    seconds: float, heap: Callable[[], Heap] | None, table_bytes: int, spent_bytes: int
) -> list[HeapReading]:
    """Read the heap for so long, without what the snapshots take of it."""
    readings: list[HeapReading] = []
    ends = time.monotonic() + seconds
    while True:
        await asyncio.sleep(READ_SECONDS)
        now = time.monotonic()
        readings.append(HeapReading(now, _used_bytes(heap) - spent_bytes))
        if now >= ends or tracemalloc.get_tracemalloc_memory() >= table_bytes:
            return readings


def _used_bytes(heap: Callable[[], Heap] | None) -> int:
    return heap().used_bytes - tracemalloc.get_tracemalloc_memory() if heap else 0


def _traced(
    seconds: float, snapshots: Sequence[tracemalloc.Snapshot], readings: Sequence[HeapReading]
) -> Traced:
    looks = [_by_place(snapshot) for snapshot in snapshots]
    grown = {place: _growth(place, looks) for place in looks[-1] if _grows(place, looks)}
    most = sorted(grown, key=lambda place: -grown[place].bytes)[:TOP_PLACES]
    return Traced(
        seconds,
        _heap_growth(readings),
        sum(one.bytes for one in grown.values() if one.is_large),
        _mean_small_bytes(looks[-1]),
        [_allocation(place, grown[place]) for place in most],
    )


def _allocation(place: Place, held: Held) -> Allocation:
    return Allocation(place=_end_of_path(place), bytes=held.bytes, count=held.objects)


def _grows(place: Place, looks: Sequence[Look]) -> bool:
    """Whether a place never held less than at the look before, and more twice: what is in flight does not."""
    sizes = [look.get(place, NOTHING).bytes for look in looks]
    steps = [later - now for now, later in pairwise(sizes)]
    return min(steps) >= 0 and sum(step > 0 for step in steps) > 1


def _growth(place: Place, looks: Sequence[Look]) -> Held:
    before, now = looks[0].get(place, NOTHING), looks[-1][place]
    return Held(now.bytes - before.bytes, now.objects - before.objects)


def _heap_growth(readings: Sequence[HeapReading]) -> int:
    """Return how much the heap grew, by the trend of its floors, which requests do not touch."""
    size = max(1, len(readings) // FLOORS)
    floors = [
        min(readings[at : at + size], key=lambda reading: reading.used_bytes)
        for at in range(0, len(readings), size)
    ]
    if len(floors) < 2:  # noqa: PLR2004 - one floor has no trend
        return 0
    return round(theil_sen(floors).value * (readings[-1].at_seconds - readings[0].at_seconds))


def _by_place(snapshot: tracemalloc.Snapshot) -> Look:
    held: Look = {}
    for one in snapshot.traces:
        frame = one.traceback[0]
        place = (frame.filename, frame.lineno)
        if frame.filename in _OUR_OWN:
            continue
        size, count = held.get(place, NOTHING)
        held[place] = Held(size + one.size, count + 1)
    return held


def _mean_small_bytes(held: Look) -> float:
    small = [one for one in held.values() if not one.is_large]
    return sum(one.bytes for one in small) / sum(one.objects for one in small) if small else USUAL_SMALL_BYTES


def _end_of_path(place: Place) -> str:
    """Return the end of the path, which says enough and tells nothing about the machine, with the line."""
    path, line = place
    return f"{PurePath(*PurePath(path).parts[-SHOWN_PATH_PARTS:])}:{line}"
