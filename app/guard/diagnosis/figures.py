"""Figures that cost next to nothing, noted while all is well, so that growth can be split up later."""

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

from app.guard.diagnosis.heap import Heap, heap_reader

# As far back as the longest window that leads to an examination.
NOTES = 260
DESCRIPTORS = "/proc/self/fd"


class ProcessFigures(NamedTuple):
    """Of the gate's process; what cannot be read here is None."""

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
    """Of the store, summed over its masters."""

    at_seconds: float
    resident_bytes: int
    used_bytes: int
    maps_bytes: int
    keys: int
    keys_without_expiry: int
    clients_bytes: int


@dataclass(frozen=True)
class ProcessReader:
    """Reads the gate's figures; the functions are asked each time."""

    resident_bytes: Callable[[], int]
    in_flight_bytes: Callable[[], int]
    connections: Callable[[], int]
    heap: Callable[[], Heap] | None = field(default_factory=heap_reader)

    def read(self, at_seconds: float) -> ProcessFigures:
        """All of them, now."""
        return ProcessFigures(
            at_seconds,
            self.resident_bytes(),
            self.in_flight_bytes(),
            self.connections(),
            len(asyncio.all_tasks()),
            open_descriptors(),
            self.heap() if self.heap else None,
            sys.getallocatedblocks(),
        )


def open_descriptors() -> int | None:
    """Open files and sockets of this process; None where there is no `/proc`."""
    try:
        return len(os.listdir(DESCRIPTORS))  # noqa: PTH208  a path a descriptor costs more than the call
    except OSError:
        return None


class _Timed(Protocol):
    @property
    def at_seconds(self) -> float: ...


Noted = TypeVar("Noted", bound=_Timed)


class Notes(deque[Noted]):
    """The latest figures, oldest first, at least `spacing_seconds` apart."""

    def __init__(self) -> None:
        super().__init__(maxlen=NOTES)

    def is_due(self, at_seconds: float, spacing_seconds: float) -> bool:
        """Whether the next may be taken."""
        return not self or at_seconds - self[-1].at_seconds >= spacing_seconds

    def at(self, seconds: float) -> Noted | None:
        """The last ones not later than this moment, else the first."""
        earlier = [note for note in self if note.at_seconds <= seconds]
        return earlier[-1] if earlier else self[0] if self else None
