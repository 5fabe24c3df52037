"""What each process that serves clients has open and uses: connections, descriptors, CPU, and their limits.

A gate without workers serves them itself. In one with workers each worker does, and has limits of its own;
the control plane has only its descriptors and its CPU here.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from app.metrics.families import counter, gauge
from app.process.descriptors import descriptors_limit


class ProcessLoad(Protocol):
    """What a process says of itself."""

    @property
    def connections(self) -> int | None:
        """Open connections of clients; None of a process that has no clients."""

    @property
    def connections_limit(self) -> int | None:
        """Most connections of clients at once; None where there is no server."""

    @property
    def descriptors(self) -> int | None:
        """Open files and sockets; None before they were first counted, or where the system does not say."""

    @property
    def cpu_seconds(self) -> float:
        """CPU time since its start, of all its threads."""


class GateLoad(NamedTuple):
    """The load of the process that answers the scrape."""

    connections: int | None
    connections_limit: int | None
    descriptors: int | None
    cpu_seconds: float

    @staticmethod
    def now(connections: int | None, connections_limit: int | None, descriptors: int | None) -> "GateLoad":
        """Read this process's CPU time, beside what others have counted."""
        return GateLoad(connections, connections_limit, descriptors, time.process_time())


class ProcessLoadCollector(Collector):
    """Exports the load of the gate's process and of each of its workers, as they last reported it."""

    def __init__(
        self, gate: Callable[[], ProcessLoad], workers: Callable[[], Mapping[str, ProcessLoad]]
    ) -> None:
        self._gate, self._workers = gate, workers

    def collect(self) -> Iterable[Metric]:
        """Yield all families; a figure that is not known has no series."""
        open_connections = gauge("connections", "Open connections of clients", "process")
        most_connections = gauge("max_connections", "Connections that clients may have open", "process")
        open_files = gauge("open_fds", "Open files and sockets", "process")
        most_files = gauge("max_fds", "Files and sockets that may be open", "process")
        cpu = counter("cpu_seconds", "CPU time of a process since its start, seconds", "process")
        limit = descriptors_limit()
        for name, load in {"gate": self._gate(), **self._workers()}.items():
            figures = (
                (open_connections, load.connections),
                (most_connections, load.connections_limit),
                (open_files, load.descriptors),
                # Workers inherit the limit of the gate.
                (most_files, limit),
                (cpu, load.cpu_seconds),
            )
            for family, value in figures:
                if value is not None:
                    family.add_metric([name], value)
        return open_connections, most_connections, open_files, most_files, cpu
