"""The guard's gauges: what its last reading left, so that a scrape costs no reading of memory."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from app.guard.diagnosis.process_figures import ProcessFigures
from app.guard.leak.finding import LeakState
from app.guard.status import GuardStatus
from app.metrics.families import gauge, single
from app.settings.model import Settings

_SUSPECTED = frozenset({LeakState.SUSPECT, LeakState.LEAK, LeakState.COOLDOWN, LeakState.INEFFECTIVE})


class AllocatorFigures(Protocol):
    """What a process says of its allocators."""

    @property
    def heap(self) -> tuple[int, int] | None:
        """Bytes of `malloc` in use, and free but held; None where the C library does not say."""

    @property
    def python_blocks(self) -> int | None:
        """Small Python objects and parts of such; None before they were first counted."""


class GuardCollector(Collector):
    """Exports what the guard says of itself, and what each process says of its allocators."""

    def __init__(
        self,
        status: Callable[[], GuardStatus],
        figures: Callable[[], ProcessFigures | None],
        settings: Callable[[], Settings],
        workers: Callable[[], Mapping[str, AllocatorFigures]],
    ) -> None:
        self._status, self._figures, self._settings = status, figures, settings
        self._workers = workers

    def collect(self) -> Iterable[Metric]:
        """Yield all families, each with every label set."""
        status, figures, threshold = self._status(), self._figures(), self._settings().leak_growth_bytes
        yield from _pressure(status)
        yield from single(
            "memory_growth_threshold_bytes",
            "Growth within the leak window that counts as a leak, bytes",
            threshold,
        )
        yield from _growth(status)
        if figures is not None:
            yield from single("asyncio_tasks", "Tasks of the event loop", figures.tasks)
        gate: Mapping[str, AllocatorFigures] = {} if figures is None else {"gate": figures}
        yield from _allocators({**gate, **self._workers()})
        yield from _states(status)


def _pressure(status: GuardStatus) -> Iterable[Metric]:
    levels = "0 normal, 1 soft (emergency cleanup), 2 hard (ingest refused)"
    yield from single("guard_up", "0 while a reading the guard needs fails", not status.blind_spots)
    yield from single("memory_pressure_level", levels, status.level.number)
    if status.latest is not None:
        used, limit = status.latest.pressure_bytes, status.latest.limit_bytes
        yield from single("memory_pressure_bytes", "Bytes that count against the memory limit", used)
        yield from single("memory_limit_bytes", "Bytes the service may hold", limit)


def _growth(status: GuardStatus) -> Iterable[Metric]:
    floor = gauge("memory_floor_bytes", "Least resident bytes of the latest block of time", "process")
    growth = gauge(
        "memory_growth_bytes", "Growth within the leak window, less what is explained, bytes", "process"
    )
    slope = gauge(
        "memory_slope_bytes_per_hour", "Trend of the floors less what is explained, bytes an hour", "process"
    )
    for name, process in status.processes.items():
        floor.add_metric([name], process.floor_bytes)
        growth.add_metric([name], process.growth_bytes)
        slope.add_metric([name], process.slope_bytes_per_hour)
    explained = gauge("memory_explained_bytes", "Bytes accounted for", "process", "part")
    for name, reading in status.latest.processes.items() if status.latest else ():
        for part, amount in reading.explained_bytes.items() if name in status.processes else ():
            explained.add_metric([name, part], amount)
    return floor, growth, slope, explained


def _allocators(processes: Mapping[str, AllocatorFigures]) -> Iterable[Metric]:
    """Export what each program itself holds, which does not move when an allocator takes or returns pages."""
    held = gauge(
        "memory_allocator_held_bytes", "Freed by the program, kept by its allocator, bytes", "process"
    )
    live = gauge(
        "memory_allocator_live_bytes", "Bytes the program holds of malloc, mapped blocks included", "process"
    )
    blocks = gauge("python_allocated_blocks", "Blocks CPython's own allocator has handed out", "process")
    for name, figures in processes.items():
        if figures.heap is not None:
            live.add_metric([name], figures.heap[0])
            held.add_metric([name], figures.heap[1])
        if figures.python_blocks is not None:
            blocks.add_metric([name], figures.python_blocks)
    return live, held, blocks


def _states(status: GuardStatus) -> Iterable[Metric]:
    suspected = gauge("leak_suspected", "1 from suspicion until the growth is over", "process")
    ineffective = gauge("guard_ineffective", "1 when acting did not help, until it is reset", "process")
    state = gauge("guard_state", "1 for the state a process is in", "process", "state")
    for name, process in status.processes.items():
        suspected.add_metric([name], process.state in _SUSPECTED)
        ineffective.add_metric([name], process.state is LeakState.INEFFECTIVE)
        for one in LeakState:
            state.add_metric([name, one], process.state is one)
    return suspected, ineffective, state
