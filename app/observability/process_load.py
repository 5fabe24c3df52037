"""What each process that serves clients has open, holds and uses, and how much of it there may be.

That is connections, descriptors, requests, bodies, what waits for the store, and CPU. A gate without workers
serves clients itself. In one with workers each worker does, and has limits of its own; the control plane has
its descriptors, its CPU, and the requests that workers have passed on to it.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from app.guard.diagnosis.process_figures import ProcessFigures
from app.ingest.unanswered_requests import Held
from app.metrics.counters import RequestsInFlight
from app.metrics.families import counter, gauge
from app.process.descriptors import descriptors_limit
from app.server.open_connections import OpenConnections


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
    def in_flight_requests(self) -> int:
        """Requests under way."""

    @property
    def in_flight_requests_limit(self) -> int:
        """Most requests under way at once."""

    @property
    def held(self) -> Held | None:
        """Bodies and transactions under way; None of a process that takes no transactions in."""

    @property
    def cpu_seconds(self) -> float:
        """CPU time since its start, of all its threads."""


class GateLoad(NamedTuple):
    """The load of the process that answers the scrape."""

    connections: int | None
    connections_limit: int | None
    descriptors: int | None
    in_flight_requests: int
    in_flight_requests_limit: int
    held: Held | None
    cpu_seconds: float

    @staticmethod
    def now(
        clients: OpenConnections | None,
        figures: ProcessFigures | None,
        requests: RequestsInFlight,
        held: Held | None,
    ) -> "GateLoad":
        """Read this process's CPU time, beside what others have counted; `clients` is None with workers."""
        connections, limit = (None, None) if clients is None else (len(clients), clients.limit)
        limits = connections, limit, figures.descriptors if figures else None, requests.count, requests.limit
        return GateLoad(*limits, held, time.process_time())


class ProcessLoadCollector(Collector):
    """Exports the load of the gate's process and of each of its workers, as they last reported it."""

    def __init__(
        self, gate: Callable[[], ProcessLoad], workers: Callable[[], Mapping[str, ProcessLoad]]
    ) -> None:
        self._gate, self._workers = gate, workers

    def collect(self) -> Iterable[Metric]:
        """Yield all families; a figure that is not known has no series."""
        loads = {"gate": self._gate(), **self._workers()}
        cpu = counter("cpu_seconds", "CPU time of a process since its start, seconds", "process")
        for name, load in loads.items():
            cpu.add_metric([name], load.cpu_seconds)
        return *(_gauge(name, text, read, loads) for name, text, read in _FIGURES), cpu


def _gauge(
    name: str, text: str, read: Callable[[ProcessLoad], float | None], loads: Mapping[str, ProcessLoad]
) -> Metric:
    family = gauge(name, text, "process")
    for process, load in loads.items():
        if (value := read(load)) is not None:
            family.add_metric([process], value)
    return family


def _of_held(read: Callable[[Held], int]) -> Callable[[ProcessLoad], int | None]:
    return lambda load: None if load.held is None else read(load.held)


_FIGURES: tuple[tuple[str, str, Callable[[ProcessLoad], float | None]], ...] = (
    ("connections", "Open connections of clients", lambda load: load.connections),
    ("max_connections", "Connections that clients may have open", lambda load: load.connections_limit),
    ("open_fds", "Open files and sockets", lambda load: load.descriptors),
    # Workers inherit the limit of the gate.
    ("max_fds", "Files and sockets that may be open", lambda _: descriptors_limit()),
    ("in_flight_requests", "Requests under way", lambda load: load.in_flight_requests),
    ("max_in_flight_requests", "Requests that may be under way", lambda load: load.in_flight_requests_limit),
    ("in_flight_bytes", "Bytes of bodies under way", _of_held(lambda held: held.body_bytes)),
    (
        "max_in_flight_bytes",
        "Bytes of bodies that may be under way, by the setting and by the memory that is left",
        _of_held(lambda held: held.body_bytes_limit),
    ),
    (
        "queued_items",
        "Transactions that wait for the store or are being stored",
        _of_held(lambda held: held.queued_items),
    ),
    (
        "max_queued_items",
        "Transactions that may wait for the store or be stored",
        _of_held(lambda held: held.queued_items_limit),
    ),
    ("queued_bytes", "Bytes of their payloads", _of_held(lambda held: held.queued_bytes)),
    (
        "max_queued_bytes",
        "Bytes of payloads that may wait for the store or be stored",
        _of_held(lambda held: held.queued_bytes_limit),
    ),
)
