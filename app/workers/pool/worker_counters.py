"""What a worker answers when it is asked how it is, and how that grows the figures of the whole service."""

from collections.abc import Iterator

import msgspec

from app.ingest.rejections import Rejection
from app.ingest.source_counts import SourceTotals
from app.ingest.source_statistics import SourceStatistics
from app.ingest.unanswered_requests import Held
from app.metrics.catalogue import Metrics
from app.store.acceptance_count import Fall

Numbers = list[float]
# The control plane counts these itself: workers follow it.
NOT_COUNTED = frozenset({"settings_changes"})


class WorkerReport(msgspec.Struct, frozen=True):
    """The answer of a worker: what it has counted since its start, and what it holds now."""

    counters: dict[str, list[tuple[tuple[str, ...], Numbers]]]
    """Counters and histograms by name: label values with their numbers, `[(("accepted",), [100.0]), …]`."""
    sources: dict[str, SourceTotals]
    """What was counted of each source."""
    in_flight_bytes: int
    requests: int
    """Requests under way that the worker answers itself."""
    in_flight_requests: int
    """All requests under way, those included that wait for the control plane."""
    in_flight_requests_limit: int
    held: Held
    connections: int
    connections_limit: int | None
    streams: int
    """Clients that read GET /stream."""
    tasks: int
    descriptors: int | None
    cpu_seconds: float
    """CPU time since its start, of all its threads."""
    heap: tuple[int, int] | None
    """Bytes of `malloc` in use, and free but held; None where the C library does not say."""
    python_blocks: int | None
    """Small Python objects and parts of such; None before they were first counted."""
    store_down: str | None
    """Why the store is down for the worker, as `(denied): the store denies…`; None while it is not."""
    rejections: dict[str, Rejection]
    """The last of each feed that was not taken."""
    falls: dict[str, Fall]
    """How far each partition of the store has fallen below what it had told the worker."""


class Growth:
    """Adds to the service's figures what one worker has counted since its last report.

    So these keep what an ended worker had counted, but for the moment since its last report, and never fall.
    """

    def __init__(self, metrics: Metrics, sources: SourceStatistics) -> None:
        self._metrics, self._sources = metrics, sources
        self._counted: dict[tuple[str, ...], Numbers] = {}

    def add(self, report: WorkerReport) -> None:
        """Take the next report of the same process."""
        for name, series in report.counters.items():
            if name in NOT_COUNTED:
                continue
            for labels, numbers in series:
                for grown in self._grown(("counter", name, *labels), numbers):
                    self._metrics.grow(name, labels, grown)
        for source, totals in report.sources.items():
            for grown in self._grown(("source", source), totals.numbers):
                self._sources.grow(source, totals._replace(numbers=grown))

    def _grown(self, key: tuple[str, ...], numbers: Numbers) -> Iterator[Numbers]:
        """Yield the growth since the last report, if there is any; what is new counts as it is, be it 0."""
        before = self._counted.get(key)
        if numbers == before:
            return
        self._counted[key] = numbers
        yield numbers if before is None else [now - then for now, then in zip(numbers, before, strict=True)]
