"""The guard's gauges, as its last sample left them."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.guard.diagnosis.examiner import Examiner
from app.guard.guard import Guard
from app.guard.watch import LeakState
from app.metrics.catalogue import NAMESPACE
from app.settings.model import Settings
from app.workers.pool.report import WorkerReport

_SUSPECTED = frozenset({LeakState.SUSPECT, LeakState.LEAK, LeakState.COOLDOWN, LeakState.INEFFECTIVE})


class GuardCollector(Collector):
    """Reads the guard's latest judgement; a scrape costs no reading of memory."""

    def __init__(
        self,
        guard: Guard,
        examiner: Examiner,
        settings: Callable[[], Settings],
        connections: Callable[[], int],
        workers: Callable[[], Mapping[str, WorkerReport]],
    ) -> None:
        self._guard, self._examiner, self._settings = guard, examiner, settings
        self._connections, self._workers = connections, workers

    def collect(self) -> Iterable[Metric]:
        """All families, each with every label set."""
        yield from self._ceiling()
        yield from self._trends()
        yield self._explained()
        yield from self._figures()
        yield from self._allocators()
        yield from self._states()

    def _ceiling(self) -> Iterable[Metric]:
        guard, latest = self._guard, self._guard.latest
        yield _single("guard_up", "0 while a reading the guard needs fails", not guard.blind_spots)
        yield _single(
            "memory_pressure_level",
            "0 normal, 1 soft (emergency cleanup), 2 hard (ingest refused)",
            guard.level.number,
        )
        if latest and latest.pressure_bytes is not None:
            yield _single(
                "memory_pressure_bytes", "Bytes that count against the memory limit", latest.pressure_bytes
            )
        if latest and latest.limit_bytes is not None:
            yield _single("memory_limit_bytes", "Bytes the service may hold", latest.limit_bytes)

    def _trends(self) -> Iterable[Metric]:
        yield _single(
            "memory_growth_threshold_bytes",
            "Growth within the leak window that counts as a leak, bytes",
            self._settings().leak_growth_bytes,
        )
        floor = _family("memory_floor_bytes", "Least resident bytes of the latest block of time", "process")
        growth = _family(
            "memory_growth_bytes", "Growth within the leak window, less what is explained, bytes", "process"
        )
        slope = _family(
            "memory_slope_bytes_per_hour",
            "Trend of the floors less what is explained, bytes an hour",
            "process",
        )
        for name, watch in self._guard.watches.items():
            detector = watch.detector
            floor.add_metric([name], detector.floor_bytes)
            growth.add_metric([name], detector.growth_bytes)
            slope.add_metric([name], detector.slope_bytes_per_hour)
        yield from (floor, growth, slope)

    def _explained(self) -> Metric:
        family = _family("memory_explained_bytes", "Bytes accounted for", "process", "part")
        latest = self._guard.latest
        watched = self._guard.watches
        for process in [one for one in latest.processes.values() if one.name in watched] if latest else ():
            for part, amount in process.explained_bytes.items():
                family.add_metric([process.name, part], amount)
        return family

    def _figures(self) -> Iterable[Metric]:
        figures = self._examiner.latest
        if figures is None:
            return
        yield _single("connections", "Open connections of clients", self._connections())
        yield _single("asyncio_tasks", "Tasks of the event loop", figures.tasks)
        if figures.descriptors is not None:
            yield _single("open_fds", "Open files and sockets of the gate", figures.descriptors)

    def _allocators(self) -> Iterable[Metric]:
        """What each program itself holds, which does not move when an allocator takes or returns pages."""
        held = _family(
            "memory_allocator_held_bytes", "Freed by the program, kept by its allocator, bytes", "process"
        )
        live = _family(
            "memory_allocator_live_bytes",
            "Bytes the program holds of malloc, mapped blocks included",
            "process",
        )
        blocks = _family(
            "python_allocated_blocks", "Blocks CPython's own allocator has handed out", "process"
        )
        for name, heap, python_blocks in self._heaps():
            if heap is not None:
                live.add_metric([name], heap[0])
                held.add_metric([name], heap[1])
            if python_blocks is not None:
                blocks.add_metric([name], python_blocks)
        return live, held, blocks

    def _heaps(self) -> Iterable[tuple[str, tuple[int, int] | None, int | None]]:
        figures = self._examiner.latest
        if figures is not None:
            yield "gate", figures.heap, figures.python_blocks
        for name, report in self._workers().items():
            yield name, report.heap, report.python_blocks

    def _states(self) -> Iterable[Metric]:
        suspected = _family("leak_suspected", "1 from suspicion until the growth is over", "process")
        ineffective = _family("guard_ineffective", "1 when acting did not help, until it is reset", "process")
        state = _family("guard_state", "1 for the state a process is in", "process", "state")
        for name, watch in self._guard.watches.items():
            suspected.add_metric([name], watch.state in _SUSPECTED)
            ineffective.add_metric([name], watch.state is LeakState.INEFFECTIVE)
            for one in LeakState:
                state.add_metric([name, one], watch.state is one)
        return suspected, ineffective, state


def _single(name: str, text: str, value: float) -> Metric:
    family = _family(name, text)
    family.add_metric([], value)
    return family


def _family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{NAMESPACE}_{name}", text, labels=list(labels))
