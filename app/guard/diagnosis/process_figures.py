"""Figures of a process and of the store that cost next to nothing, noted while all is well.

Once a leak is proven, the note from before the growth is compared with the latest: what grew beside resident
memory says where the growth lies. One note of a gate, for example: 61 MiB resident, 2 MiB in flight, 40
connections, 25 tasks, 60 descriptors, a heap of 30 MiB used and 5 MiB free, 200,000 small Python objects.
"""

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from app.guard.memory_reading import MemoryReading
from app.process.heap import Heap, heap_reader

# As far back as the longest window that leads to an examination.
NOTES = 260
DESCRIPTORS = "/proc/self/fd"


class ProcessFigures(NamedTuple):
    """What a process of the service, gate or worker, reads of itself; None where the system does not say."""

    at_seconds: float
    resident_bytes: int
    in_flight_bytes: int
    connections: int
    tasks: int
    descriptors: int | None
    heap: Heap | None
    python_blocks: int
    """Small Python objects and parts of such: what CPython's own allocator has handed out."""


class StoreReading(NamedTuple):
    """Memory and keys of the store, summed over its masters."""

    at_seconds: float
    resident_bytes: int
    used_bytes: int
    maps_bytes: int
    keys: int
    keys_without_expiry: int
    clients_bytes: int


def store_reading(reading: MemoryReading, keyspace: Sequence[Mapping[str, Any]]) -> StoreReading | None:
    """Put the store's figures together from a reading of memory and `INFO keyspace` of each master.

    Returns None while the reading has nothing of the store.
    """
    process, figures = reading.processes.get("store"), reading.store
    if process is None or figures is None:
        return None
    databases = [database for node in keyspace for database in node.values()]
    keys = sum(int(database["keys"]) for database in databases)
    return StoreReading(
        reading.at_seconds,
        process.rss_bytes,
        used_bytes=figures.used_bytes,
        maps_bytes=process.explained_bytes.get("maps", 0),
        keys=keys,
        keys_without_expiry=keys - sum(int(database["expires"]) for database in databases),
        clients_bytes=figures.clients_bytes,
    )


@dataclass(frozen=True)
class ProcessReader:
    """Reads the figures of the process it runs in; the functions are asked each time."""

    in_flight_bytes: Callable[[], int]
    connections: Callable[[], int]
    heap: Callable[[], Heap] | None = field(default_factory=heap_reader)

    def read(self, at_seconds: float, resident_bytes: int) -> ProcessFigures:
        """Read all figures but the resident bytes, which were read before."""
        return ProcessFigures(
            at_seconds,
            resident_bytes,
            self.in_flight_bytes(),
            self.connections(),
            len(asyncio.all_tasks()),
            open_descriptors(),
            self.heap() if self.heap else None,
            sys.getallocatedblocks(),
        )


def open_descriptors() -> int | None:
    """Count the open files and sockets of this process; None where there is no `/proc`."""
    try:
        return len(os.listdir(DESCRIPTORS))  # noqa: PTH208  a path a descriptor costs more than the call
    except OSError:
        return None


class _Timed(Protocol):
    @property
    def at_seconds(self) -> float: ...


Noted = TypeVar("Noted", bound=_Timed)


class Notes(deque[Noted]):
    """Keeps the latest figures, oldest first, at least `spacing_seconds` apart."""

    def __init__(self) -> None:
        super().__init__(maxlen=NOTES)

    def is_due(self, at_seconds: float, spacing_seconds: float) -> bool:
        """Whether the next may be taken."""
        return not self or at_seconds - self[-1].at_seconds >= spacing_seconds

    def at(self, seconds: float) -> Noted | None:
        """Return the last figures not later than this moment, else the first; None without any."""
        earlier = [note for note in self if note.at_seconds <= seconds]
        return earlier[-1] if earlier else self[0] if self else None
