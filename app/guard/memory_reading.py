"""One reading of the service's memory: what each process holds, what explains it, and the limit.

A reading is taken once a sample (every 5 s by default) and handed to all who judge or show it. For example:

    gate    resident 61 MiB, explained {"in_flight": 2 MiB}
    store   resident 25 MiB, explained {"maps": 18 MiB}
    limit   512 MiB of the cgroup, of which 86 MiB are in use

Where the figures come from is given as functions, `MemorySensors`: those of a running gate are in
memory_sensors.py. A figure that cannot be true is left out, and `discarded` says which and why.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeVar

from app.guard.memory_limit import LimitSource, MemoryLimit
from app.models import StoreFigures

# No process of one machine holds more; a reading past it is a broken sensor.
HUGE_BYTES = 1 << 50

T = TypeVar("T")

Resident = Mapping[str, tuple[int | None, float]]
"""Process id and resident bytes of each process, by its name; no id for a store that is not the service's."""


class Discard(StrEnum):
    """Why a figure was left out."""

    NEGATIVE = "negative"
    HUGE = "huge"
    NOT_A_NUMBER = "not_a_number"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class MemorySensors:
    """Where the figures of a reading come from. Each may raise or answer nonsense: `read` copes with it."""

    resident: Callable[[], Resident]
    explained: Callable[[], Mapping[str, Mapping[str, int]]]
    """Bytes that maps and requests in flight account for, of each process by part."""
    limit: Callable[[], MemoryLimit | None]
    """What the service may hold; None without a limit."""
    usage: Callable[[Resident | None], float]
    """Bytes that count against the limit; given what was just read of the processes, or None to read them."""
    store: Callable[[], StoreFigures | None]
    """The store's own figures, as last read; None before it was first reached."""


@dataclass(frozen=True)
class ProcessReading:
    """Resident bytes of one process, and those of them that are accounted for, by part."""

    name: str
    pid: int | None
    rss_bytes: int
    explained_bytes: dict[str, int]

    @property
    def all_explained_bytes(self) -> int:
        """The sum of what is accounted for."""
        return sum(self.explained_bytes.values())


@dataclass(frozen=True)
class MemoryReading:
    """One reading of everything; what was discarded is missing.

    `at_seconds` is on the guard's monotonic clock, `taken_ms` in milliseconds since the epoch.
    """

    at_seconds: float
    taken_ms: int
    processes: dict[str, ProcessReading]
    pressure_bytes: int | None
    limit: MemoryLimit | None
    store: StoreFigures | None
    discarded: list[tuple[str, Discard]] = field(default_factory=list)

    @property
    def limit_bytes(self) -> int | None:
        """Bytes the service may hold; None without a limit."""
        return self.limit.bytes if self.limit else None

    @property
    def limit_source(self) -> LimitSource | None:
        """Where the limit comes from; None without a limit."""
        return self.limit.source if self.limit else None


class Pressure(NamedTuple):
    """What counts against the limit, and the limit."""

    used_bytes: int
    limit_bytes: int


def read_pressure(sensors: MemorySensors) -> Pressure | None:
    """Read the two figures of the limit alone; None without a limit, or when one of them cannot be read."""
    limit = _attempt("limit", sensors.limit, [])
    used = _checked("usage", _attempt("usage", lambda: sensors.usage(None), []), []) if limit else None
    return Pressure(used, limit.bytes) if limit and used is not None else None


def read(sensors: MemorySensors, at_seconds: float, taken_ms: int) -> MemoryReading:
    """Read everything once; a reader that fails costs its own figures only."""
    discarded: list[tuple[str, Discard]] = []
    explained = _attempt("explained", sensors.explained, discarded) or {}
    resident = _attempt("gate", sensors.resident, discarded)
    processes = _processes(resident or {}, explained, discarded)
    if resident is not None and "gate" not in resident:
        discarded.append(("gate", Discard.UNREADABLE))
    limit = _attempt("limit", sensors.limit, discarded)
    usage = _checked("usage", _attempt("usage", lambda: sensors.usage(resident), discarded), discarded)
    store = _attempt("store", sensors.store, discarded)
    return MemoryReading(at_seconds, taken_ms, processes, usage, limit, store, discarded)


def _processes(
    resident: Resident, explained: Mapping[str, Mapping[str, int]], discarded: list[tuple[str, Discard]]
) -> dict[str, ProcessReading]:
    checked = {name: (pid, _checked(name, value, discarded)) for name, (pid, value) in resident.items()}
    return {
        name: ProcessReading(name, pid, rss_bytes, dict(explained.get(name, {})))
        for name, (pid, rss_bytes) in checked.items()
        if rss_bytes is not None
    }


def _attempt(name: str, reader: Callable[[], T], discarded: list[tuple[str, Discard]]) -> T | None:
    try:
        return reader()
    except Exception:  # noqa: BLE001  whatever a sensor does, it must not stop the guard
        discarded.append((name, Discard.UNREADABLE))
        return None


def _checked(name: str, value: float | None, discarded: list[tuple[str, Discard]]) -> int | None:
    if value is None:
        return None
    fault = _fault(value)
    if fault is not None:
        discarded.append((name, fault))
        return None
    return int(value)


def _fault(value: float) -> Discard | None:
    if math.isnan(value):
        return Discard.NOT_A_NUMBER
    if value < 0:
        return Discard.NEGATIVE
    return Discard.HUGE if value > HUGE_BYTES else None
