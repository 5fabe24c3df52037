"""Counts the objects of each type that the garbage collector tracks, except those frozen at start-up."""

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from itertools import islice

from app.guard.diagnosis.diagnosis import TypeGrowth

# Other tasks run between two pieces; one takes a millisecond or two.
PIECE_OBJECTS = 20_000
SIZED_OBJECTS = 200
TOP_TYPES = 10
LEAST_GROWTH = 100

ObjectCounts = Mapping[str, int]


async def count_objects() -> ObjectCounts:
    """Count the tracked objects by the full name of their type; other tasks run meanwhile."""
    counts: Counter[type] = Counter()
    async for piece in _pieces():
        counts.update(map(type, piece))
    by_name: Counter[str] = Counter()
    for kind, count in counts.items():
        by_name[_full_name(kind)] += count
    return by_name


async def grown_types(before: ObjectCounts, now: ObjectCounts) -> list[TypeGrowth]:
    """Return the types that grew most, in bytes; sizes are estimated from up to 200 objects of each."""
    grown = {name: count - before.get(name, 0) for name, count in now.items()}
    most = Counter({name: count for name, count in grown.items() if count >= LEAST_GROWTH})
    candidates = dict(most.most_common(3 * TOP_TYPES))
    sizes = await _mean_sizes(candidates)
    growth = [
        TypeGrowth(type=name, count=count, bytes=round(count * sizes.get(name, 0)))
        for name, count in candidates.items()
    ]
    return sorted(growth, key=lambda one: one.bytes, reverse=True)[:TOP_TYPES]


async def _mean_sizes(names: Collection[str]) -> dict[str, float]:
    sizes: dict[str, list[int]] = {name: [] for name in names}
    wanted: dict[type, list[int] | None] = {}
    async for piece in _pieces():
        for one in piece:
            kind = type(one)
            if kind not in wanted:
                wanted[kind] = sizes.get(_full_name(kind))
            found = wanted[kind]
            if found is not None and len(found) < SIZED_OBJECTS:
                found.append(sys.getsizeof(one, 0))
    return {name: sum(found) / len(found) for name, found in sizes.items() if found}


async def _pieces() -> AsyncIterator[list[object]]:
    # A list gives its places free only as a whole; the iterator lets go of it at the end.
    objects = iter(gc.get_objects())
    while piece := list(islice(objects, PIECE_OBJECTS)):
        yield piece
        await asyncio.sleep(0)


def _full_name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
