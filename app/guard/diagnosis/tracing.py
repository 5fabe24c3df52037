"""Tracing Python's allocations for some seconds: how much of what grows is Python's, and where it is made.

Started only when a leak is certain, with one frame a trace, and stopped soon: it makes allocating several
times slower. It ends early when there are so many traces that reading them would hold up the gate.
"""

import asyncio
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePath
from typing import NamedTuple

from app.guard.diagnosis.document import Allocation
from app.guard.diagnosis.heap import Heap

LEAST_SECONDS, MOST_SECONDS = 6.0, 60.0
# Traced for as long as it takes so much to leak.
ENOUGH_BYTES = 256 * 1024
READ_SECONDS = 0.1
# Of tracemalloc's own tables: 60 bytes a trace, and reading one takes a microsecond or two.
TABLE_BYTES = 1024 * 1024
# CPython's allocator serves up to this size, `malloc` what is larger.
SMALL_BYTES = 512
USUAL_SMALL_BYTES = 80.0
# Less than this within the trace is noise.
LEAST_HEAP_BYTES = 64 * 1024
TOP_PLACES = 10
SHOWN_PATH_PARTS = 3

# The first after a third of the time, when what comes and goes has been traced once.
SNAPSHOTS = 3

Place = tuple[str, int]


class Held(NamedTuple):
    """What one place holds."""

    bytes: int
    objects: int


NOTHING = Held(0, 0)


class Reading(NamedTuple):
    """Bytes held by traced objects, bytes of `malloc` in use without the tables, small blocks in use."""

    python_bytes: int
    heap_bytes: int
    blocks: int


@dataclass(frozen=True)
class Traced:
    """What grew while tracing, from its middle to its end, and where the growth was allocated."""

    seconds: float
    growth: Reading
    mean_small_bytes: float
    places: list[Allocation] = field(default_factory=list)

    @property
    def python_share_of_heap(self) -> float | None:
        """How much of what grew in `malloc` belongs to large Python objects; None when too little grew."""
        if self.growth.heap_bytes < LEAST_HEAP_BYTES:
            return None
        large = self.growth.python_bytes - self.growth.blocks * self.mean_small_bytes
        return min(1.0, max(0.0, large / self.growth.heap_bytes))


NOT_TRACED = Traced(0.0, Reading(0, 0, 0), USUAL_SMALL_BYTES)


def seconds_for(slope_bytes_per_hour: float) -> float:
    """How long to trace a leak of this rate."""
    rate = max(1.0, slope_bytes_per_hour / 3600)
    return min(MOST_SECONDS, max(LEAST_SECONDS, ENOUGH_BYTES / rate))


async def trace(seconds: float, heap: Callable[[], Heap] | None) -> Traced:
    """Trace for so many seconds, or shorter; not at all while somebody else does."""
    if tracemalloc.is_tracing():
        return NOT_TRACED
    began = time.monotonic()
    readings: list[Reading] = []
    snapshots: list[tracemalloc.Snapshot] = []
    tracemalloc.start(1)
    try:
        for number in range(1, SNAPSHOTS + 1):
            readings += await _watch(seconds / SNAPSHOTS, heap, number * TABLE_BYTES // SNAPSHOTS)
            snapshots.append(tracemalloc.take_snapshot())
    finally:
        tracemalloc.stop()
    took = time.monotonic() - began
    return await asyncio.to_thread(_evaluate, took, readings, snapshots)


async def _watch(seconds: float, heap: Callable[[], Heap] | None, table_bytes: int) -> list[Reading]:
    readings = [_read(heap)]
    ends = time.monotonic() + seconds
    while True:
        await asyncio.sleep(READ_SECONDS)
        readings.append(_read(heap))
        if time.monotonic() >= ends or tracemalloc.get_tracemalloc_memory() >= table_bytes:
            return readings


def _read(heap: Callable[[], Heap] | None) -> Reading:
    used = heap().used_bytes - tracemalloc.get_tracemalloc_memory() if heap else 0
    return Reading(tracemalloc.get_traced_memory()[0], used, sys.getallocatedblocks())


def _evaluate(
    seconds: float, readings: Sequence[Reading], snapshots: Sequence[tracemalloc.Snapshot]
) -> Traced:
    held = [_by_place(snapshot) for snapshot in snapshots]
    return Traced(seconds, _growth(readings), _mean_small_bytes(held[-1]), _growing(held))


def _growing(held: Sequence[dict[Place, Held]]) -> list[Allocation]:
    """The places that hold more at each look; what was in flight at one of them does not."""
    steps = {place: min(_steps(place, held)) for place in held[-1]}
    most = sorted((place for place, least in steps.items() if least > 0), key=lambda place: -steps[place])
    return [_allocation(place, held[0].get(place, NOTHING), held[-1][place]) for place in most[:TOP_PLACES]]


def _steps(place: Place, held: Sequence[dict[Place, Held]]) -> list[int]:
    sizes = [one.get(place, NOTHING).bytes for one in held]
    return [later - now for now, later in pairwise(sizes)]


def _allocation(place: Place, before: Held, now: Held) -> Allocation:
    return Allocation(place=_shown(place), bytes=now.bytes - before.bytes, count=now.objects - before.objects)


def _growth(readings: Sequence[Reading]) -> Reading:
    """From the floor of the middle third to that of the last: what comes and goes is in neither."""
    third = max(1, len(readings) // 3)
    middle, end = _floor(readings[-2 * third : -third] or readings[:1]), _floor(readings[-third:])
    return Reading(
        end.python_bytes - middle.python_bytes, end.heap_bytes - middle.heap_bytes, end.blocks - middle.blocks
    )


def _floor(readings: Sequence[Reading]) -> Reading:
    return Reading(
        min(reading.python_bytes for reading in readings),
        min(reading.heap_bytes for reading in readings),
        min(reading.blocks for reading in readings),
    )


def _by_place(snapshot: tracemalloc.Snapshot) -> dict[Place, Held]:
    held: dict[Place, Held] = {}
    for one in snapshot.traces:
        frame = one.traceback[0]
        place = (frame.filename, frame.lineno)
        if frame.filename == tracemalloc.__file__:
            continue
        size, count = held.get(place, NOTHING)
        held[place] = Held(size + one.size, count + 1)
    return held


def _mean_small_bytes(held: Mapping[Place, Held]) -> float:
    small = [one for one in held.values() if one.bytes <= SMALL_BYTES * one.objects]
    return sum(one.bytes for one in small) / sum(one.objects for one in small) if small else USUAL_SMALL_BYTES


def _shown(place: Place) -> str:
    """The end of the path says enough, and tells nothing about the machine."""
    path, line = place
    return f"{PurePath(*PurePath(path).parts[-SHOWN_PATH_PARTS:])}:{line}"
