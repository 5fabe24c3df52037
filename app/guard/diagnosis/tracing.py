"""Tracing Python's allocations for some seconds: how much of what grows is Python's, and where it is made.

Started only when a leak is certain, with one frame a trace, and stopped soon: it makes allocating several
times slower. It ends early when there are so many traces that reading them would hold up the gate.
"""

import asyncio
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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

Place = tuple[str, int]


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
    tracemalloc.start(1)
    try:
        readings = await _watch(seconds / 2, heap, TABLE_BYTES // 2)
        settled = tracemalloc.take_snapshot()
        readings += await _watch(seconds / 2, heap, TABLE_BYTES)
        last = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    took = time.monotonic() - began
    return await asyncio.to_thread(_evaluate, took, readings, settled, last)


async def _watch(seconds: float, heap: Callable[[], Heap] | None, table_bytes: int) -> list[Reading]:
    readings = [_read(heap)]
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and tracemalloc.get_tracemalloc_memory() < table_bytes:
        await asyncio.sleep(READ_SECONDS)
        readings.append(_read(heap))
    return readings


def _read(heap: Callable[[], Heap] | None) -> Reading:
    used = heap().used_bytes - tracemalloc.get_tracemalloc_memory() if heap else 0
    return Reading(tracemalloc.get_traced_memory()[0], used, sys.getallocatedblocks())


def _evaluate(
    seconds: float,
    readings: Sequence[Reading],
    settled: tracemalloc.Snapshot,
    last: tracemalloc.Snapshot,
) -> Traced:
    (before, counts_before, _), (after, counts_after, small) = _by_place(settled), _by_place(last)
    after.subtract(before)
    counts_after.subtract(counts_before)
    places = [
        Allocation(place=_shown(place), bytes=grown, count=counts_after[place])
        for place, grown in after.most_common(TOP_PLACES)
        if grown > 0
    ]
    return Traced(seconds, _growth(readings), small, places)


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


def _by_place(snapshot: tracemalloc.Snapshot) -> tuple[Counter[Place], Counter[Place], float]:
    sizes: Counter[Place] = Counter()
    counts: Counter[Place] = Counter()
    small = [0, 0]
    for one in snapshot.traces:
        frame = one.traceback[0]
        place = (frame.filename, frame.lineno)
        sizes[place] += one.size
        counts[place] += 1
        if one.size <= SMALL_BYTES:
            small[0] += one.size
            small[1] += 1
    return sizes, counts, small[0] / small[1] if small[1] else USUAL_SMALL_BYTES


def _shown(place: Place) -> str:
    """The end of the path says enough, and tells nothing about the machine."""
    path, line = place
    return f"{PurePath(*PurePath(path).parts[-SHOWN_PATH_PARTS:])}:{line}"
