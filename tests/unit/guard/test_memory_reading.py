import math
from collections.abc import Callable
from typing import Any

import pytest

from app.guard.memory_limit import LimitSource, MemoryLimit
from app.guard.memory_reading import HUGE_BYTES, Discard, MemorySensors, read, read_pressure
from app.guard.memory_sensors import ServiceMemory
from app.process.resident_memory import Processes
from app.settings.model import Settings

MIB = 1024 * 1024


def sensors(
    resident: Callable[[], dict[str, tuple[int | None, float]]] = lambda: {"gate": (7, 60.0 * MIB)},
    usage: Callable[[], float] = lambda: 60.0 * MIB,
    limit: Callable[[], MemoryLimit | None] = lambda: MemoryLimit(200 * MIB, LimitSource.SETTING),
) -> MemorySensors:
    return MemorySensors(
        resident=resident,
        explained=lambda: {"gate": {"in_flight": MIB}},
        limit=limit,
        usage=lambda _: usage(),
        store=lambda: None,
    )


def failing() -> Any:
    raise PermissionError("/proc is hidden")


def test_a_sample_holds_what_was_read() -> None:
    sample = read(sensors(), 12.0, 1000)
    assert sample.processes["gate"].rss_bytes == 60 * MIB
    assert sample.processes["gate"].explained_bytes == {"in_flight": MIB}
    assert (sample.at_seconds, sample.taken_ms, sample.limit_bytes) == (12.0, 1000, 200 * MIB)
    assert sample.discarded == []


@pytest.mark.parametrize(
    ("value", "why"),
    [(-1.0, Discard.NEGATIVE), (HUGE_BYTES * 2.0, Discard.HUGE), (math.nan, Discard.NOT_A_NUMBER)],
)
def test_a_reading_that_cannot_be_true_is_discarded_with_the_reason(value: float, why: Discard) -> None:
    sample = read(sensors(lambda: {"gate": (7, value), "store": (8, 5.0 * MIB)}), 0, 0)
    assert set(sample.processes) == {"store"}
    assert sample.discarded == [("gate", why)]
    assert read(sensors(usage=lambda: value), 0, 0).discarded == [("usage", why)]


def test_an_infinite_reading_is_huge() -> None:
    assert read(sensors(usage=lambda: math.inf), 0, 0).discarded == [("usage", Discard.HUGE)]


def test_a_reader_that_fails_costs_only_its_own_figures() -> None:
    sample = read(sensors(usage=failing, limit=failing), 0, 0)
    assert sample.processes["gate"].rss_bytes == 60 * MIB
    assert sample.limit_bytes is None
    assert sample.discarded == [("limit", Discard.UNREADABLE), ("usage", Discard.UNREADABLE)]


def test_a_gate_that_cannot_see_itself_says_so() -> None:
    assert read(sensors(lambda: {"store": (8, 5.0)}), 0, 0).discarded == [("gate", Discard.UNREADABLE)]


class CountedProcesses(Processes):
    """This process, and how often it was read."""

    reads = 0

    def read(self) -> dict[str, tuple[int, int]]:
        self.reads += 1
        return super().read()


def test_processes_are_read_once_a_reading_also_where_they_count_against_the_limit() -> None:
    processes = CountedProcesses(lambda: None)
    settings = Settings(memory_limit_bytes=1 << 40)
    memory = ServiceMemory(lambda: settings, processes, lambda: None, lambda: 0, lambda: {"gate": 5})
    reading = read(memory.sensors(), 0, 0)
    assert processes.reads == 1
    assert reading.pressure_bytes == reading.processes["gate"].rss_bytes > 0
    assert reading.processes["gate"].explained_bytes == {"in_flight": 5}
    pressure = read_pressure(memory.sensors())
    assert (processes.reads, pressure and pressure.limit_bytes) == (2, 1 << 40)
