"""What the guard reads: functions, so that a test feeds numbers; readings that cannot be true are dropped."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeVar

from app.models import Shape, StoreFigures

# No process of one machine holds more; a reading past it is a broken sensor.
HUGE_BYTES = 1 << 50

T = TypeVar("T")


class Discard(StrEnum):
    """Why a reading was not used."""

    NEGATIVE = "negative"
    HUGE = "huge"
    NOT_A_NUMBER = "not_a_number"
    UNREADABLE = "unreadable"


class Process(Shape):
    """One process as it was read: resident bytes, and those of them that are accounted for, by part."""

    name: str
    pid: int | None
    rss_bytes: int
    explained_bytes: dict[str, int]


@dataclass(frozen=True)
class Readers:
    """Each may raise or answer nonsense; `read` makes the best of it."""

    resident: Callable[[], Mapping[str, tuple[int | None, float]]]
    """Process id and resident bytes of each process, by its name."""
    explained: Callable[[], Mapping[str, Mapping[str, int]]]
    """Of each process, the bytes that maps and requests in flight account for, by part."""
    limit: Callable[[], int | None]
    """Bytes the service may hold."""
    usage: Callable[[], float]
    """Bytes that count against the limit."""
    store: Callable[[], StoreFigures | None]
    """The store's own figures, as last read."""


@dataclass(frozen=True)
class Sample:
    """One reading of everything; what was discarded is missing."""

    at_seconds: float
    taken_ms: int
    processes: dict[str, Process]
    pressure_bytes: int | None
    limit_bytes: int | None
    store: StoreFigures | None
    discarded: list[tuple[str, Discard]] = field(default_factory=list)


class Pressure(NamedTuple):
    """What counts against the limit, and the limit."""

    used_bytes: int
    limit_bytes: int


def read_pressure(readers: Readers) -> Pressure | None:
    """The two figures of the ceiling; None without a limit, or when one of them cannot be read."""
    limit = _attempt("limit", readers.limit, [])
    used = _checked("usage", _attempt("usage", readers.usage, []), []) if limit else None
    return Pressure(used, limit) if limit and used is not None else None


def read(readers: Readers, at_seconds: float, taken_ms: int) -> Sample:
    """Read everything once; a reader that fails costs its own figures only."""
    discarded: list[tuple[str, Discard]] = []
    processes = _processes(readers, discarded)
    limit = _attempt("limit", readers.limit, discarded)
    usage = _checked("usage", _attempt("usage", readers.usage, discarded), discarded)
    return Sample(
        at_seconds,
        taken_ms,
        processes,
        usage,
        limit,
        _attempt("store", readers.store, discarded),
        discarded,
    )


def _processes(readers: Readers, discarded: list[tuple[str, Discard]]) -> dict[str, Process]:
    explained = _attempt("explained", readers.explained, discarded) or {}
    found = _attempt("gate", readers.resident, discarded)
    if found is not None and "gate" not in found:
        discarded.append(("gate", Discard.UNREADABLE))
    processes = {}
    for name, (pid, value) in (found or {}).items():
        resident = _checked(name, value, discarded)
        if resident is not None:
            processes[name] = Process(
                name=name, pid=pid, rss_bytes=resident, explained_bytes=dict(explained.get(name, {}))
            )
    return processes


def _attempt(name: str, reader: Callable[[], T], discarded: list[tuple[str, Discard]]) -> T | None:
    try:
        return reader()
    except Exception:  # noqa: BLE001  whatever a sensor does, it must not stop the guard
        discarded.append((name, Discard.UNREADABLE))
        return None


def _checked(name: str, value: float | None, discarded: list[tuple[str, Discard]]) -> int | None:
    if value is None:
        return None
    fault = (
        Discard.NOT_A_NUMBER
        if math.isnan(value)
        else Discard.NEGATIVE
        if value < 0
        else Discard.HUGE
        if value > HUGE_BYTES
        else None
    )
    if fault is not None:
        discarded.append((name, fault))
        return None
    return int(value)
