"""Evidence gathered in this very process, from objects and memory that are really there."""

import asyncio
import ctypes
import gc
import random
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from app.guard.diagnosis import tracing
from app.guard.diagnosis.object_counts import count_objects, grown_types
from app.guard.diagnosis.process_figures import Notes, ProcessFigures, open_descriptors
from app.guard.diagnosis.tracing import seconds_for, trace
from app.process.heap import heap_reader

MIB = 1024 * 1024
LARGE_BYTES = 5000
AN_HOUR_SECONDS = 3600

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]


class Remembered:
    def __init__(self) -> None:
        self.others = [self]


@asynccontextmanager
async def leaking(leak: Callable[[], object], a_round: int) -> AsyncIterator[list[object]]:
    """Leak so many every hundredth of a second."""
    kept: list[object] = []

    async def run() -> None:
        while True:
            kept.extend(leak() for _ in range(a_round))
            await asyncio.sleep(0.01)

    task = asyncio.create_task(run())
    try:
        yield kept
    finally:
        task.cancel()


async def test_a_census_counts_what_was_made_since_by_type() -> None:
    gc.collect()  # what other tests left behind is not to go meanwhile
    before = await count_objects()
    kept = [Remembered() for _ in range(5000)]
    lists = [[one] for one in kept]
    growth = await grown_types(before, await count_objects())
    [found] = [one for one in growth if one.type == f"{__name__}.Remembered"]
    assert found.count == len(kept)
    assert 16 * len(kept) <= found.bytes <= 500 * len(kept)
    assert sum(one.count for one in growth if one.type == "list") >= len(lists) // 2


async def test_what_did_not_grow_is_not_in_the_list() -> None:
    before = await count_objects()
    assert await grown_types(before, before) == []


async def test_memory_of_large_python_objects_is_told_from_that_of_a_c_library() -> None:
    heap = heap_reader()
    async with leaking(lambda: random.randbytes(LARGE_BYTES), 20):
        of_python = await trace(1.5, heap)
    async with leaking(lambda: libc.malloc(LARGE_BYTES), 20) as pointers:
        of_c = await trace(1.5, heap)
    for pointer in pointers:
        libc.free(pointer)
    assert of_python.python_share_of_heap == pytest.approx(1, abs=0.3)
    assert of_c.python_share_of_heap == pytest.approx(0, abs=0.3)
    assert of_python.large_python_bytes > 10 * of_c.large_python_bytes


async def test_the_line_that_allocates_is_named_without_the_path_to_it() -> None:
    async with leaking(lambda: [random.random()], 50):
        found = await trace(1.0, heap_reader())
    place, line = found.places[0].place.rsplit(":", 1)
    assert place == "guard/diagnosis/test_evidence.py"
    assert int(line) > 0
    assert found.places[0].count > 50


async def test_nothing_that_grows_leaves_the_share_open() -> None:
    assert (await trace(0.3, heap_reader())).python_share_of_heap is None


async def test_tracing_ends_early_when_there_is_much_to_read() -> None:
    async with leaking(lambda: [random.random()], 500) as kept:
        found = await trace(AN_HOUR_SECONDS, heap_reader())
    assert found.seconds < AN_HOUR_SECONDS, "not broken off"
    assert found.places[0].place.startswith("guard/diagnosis/test_evidence.py:")
    assert len(kept) * 2 * 60 > tracing.TABLE_BYTES
    assert not tracemalloc.is_tracing()


async def test_tracing_is_over_when_it_was_broken_off() -> None:
    task = asyncio.create_task(trace(60, heap_reader()))
    while not tracemalloc.is_tracing():
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not tracemalloc.is_tracing()


async def test_somebody_elses_tracing_is_left_alone() -> None:
    tracemalloc.start()
    try:
        assert await trace(60, heap_reader()) == tracing.NOT_TRACED
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


def test_a_slow_leak_is_traced_for_longer_within_bounds() -> None:
    assert seconds_for(10**12) == tracing.LEAST_SECONDS
    assert seconds_for(100 * MIB) == pytest.approx(MIB / (100 * MIB / 3600))
    assert seconds_for(0) == seconds_for(-MIB) == tracing.MOST_SECONDS


def test_the_heap_is_read_in_bytes() -> None:
    heap = heap_reader()
    assert heap is not None
    before = heap()
    pointers = [libc.malloc(10_000) for _ in range(100)]
    used = heap()
    for pointer in pointers:
        libc.free(pointer)
    assert MIB * 0.9 < used.used_bytes - before.used_bytes < 1.2 * MIB
    assert heap().used_bytes < used.used_bytes


def test_open_files_are_counted() -> None:
    before = open_descriptors()
    assert before is not None
    with open("/dev/null"), open("/dev/null"):  # noqa: PTH123  two descriptors, nothing else
        assert open_descriptors() == before + 2


def test_notes_reach_back_to_a_moment_and_no_further_than_they_may() -> None:
    notes = Notes[ProcessFigures]()
    assert notes.at(0) is None
    for second in range(0, 10_000, 10):
        if notes.is_due(second, 30):
            notes.append(ProcessFigures(second, second, 0, 0, 0, None, None, 0))
    assert len(notes) == 260
    newest = notes[-1].at_seconds
    assert notes.at(newest) is notes[-1]
    assert (notes.at(newest - 31) or notes[-1]).at_seconds == newest - 60
    assert notes.at(0) is notes[0], "the oldest there is"
