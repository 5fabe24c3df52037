"""The workers of a service, seen from the process that answers for all of them, the control plane.

A gate with TIDEGATE_WORKERS=2 is three processes beside its store. Two workers take transactions in and look
them up, from one listener: the kernel gives a connection to whoever takes it first. They also answer
GET /livez. All other requests they pass on to the third process, the control plane, whose figures have to
hold for the whole service. So it asks every worker that is up for all it has counted since its start, once
a second and for each GET /metrics, /stats and /sources. It adds what has grown since it asked before:

    asked at 10:00:00   worker-1 accepted 100   worker-2 accepted 50   total   0 + 100 + 50 = 150
    asked at 10:00:01   worker-1 accepted 130   worker-2 accepted 50   total 150 +  30 +  0 = 180
    worker-2 is killed, and its successor begins to count at 0
    asked at 10:00:02   worker-1 accepted 130   worker-2 accepted  4   total 180 +   0 +  4 = 184

A total never falls, and lacks only what an ended worker had counted after its last report (`Growth` in
worker_counters.py). In the other direction, a page of shared memory says whether to refuse ingest, and how
many bytes are left below the memory limit, of which each worker takes an equal share. A worker reads it with
each request, so it sees a change at once and asks nobody (`pressure`).
"""

import asyncio
import os
from collections.abc import Iterable, Mapping
from socket import socket
from typing import TYPE_CHECKING

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from app.ingest.recent_signatures import FINGERPRINT_BYTES
from app.ingest.rejections import Rejection
from app.ingest.source_statistics import SourceStatistics
from app.metrics.catalogue import Metrics
from app.metrics.families import counter, gauge, single
from app.models import MemoryHeadroom, WarningKey, WarningName
from app.process.child_processes import private_listener, shared_memory
from app.settings.model import Settings
from app.store.acceptance_count import Fall
from app.workers.pool.pressure_in_shared_memory import BYTES as PAGE_BYTES
from app.workers.pool.pressure_in_shared_memory import PressurePage
from app.workers.pool.worker_config import Inherited, WorkerConfig
from app.workers.pool.worker_counters import WorkerReport

if TYPE_CHECKING:
    from app.workers.pool.worker import Worker

NEEDED_BY = "TIDEGATE_WORKERS above 1"  # "... needs Linux", says the error on other systems
BACKLOG = 2048
# `ask` waits this long at most. An answer that comes later, within a second in all (worker.py), still counts.
ASK_WAIT_SECONDS = 0.1


def _new_worker(config: WorkerConfig, metrics: Metrics, sources: SourceStatistics) -> "Worker":
    from app.workers.pool.worker import Worker  # noqa: PLC0415  loads httpx, of which others have no need

    return Worker(config, metrics, sources)


class WorkerPool(Collector):
    """All workers of a service, which `Supervisor` starts and ends; none in a gate of one process."""

    def __init__(
        self,
        settings: Settings,
        listener: socket | None,
        store_url: str,
        metrics: Metrics,
        sources: SourceStatistics,
    ) -> None:
        self.workers: list[Worker] = []
        self.restarts = 0
        """How often a worker was started again because it had ended; `Supervisor` counts."""
        self.listener: socket | None = None
        """The unix listener for what workers pass on to this process: all but posts, lookups and `/livez`.

        None without workers.
        """
        self._asking: set[asyncio.Task[None]] = set()
        self._shared: tuple[int, ...] = ()
        self._page: PressurePage | None = None
        if listener is None or settings.workers == 1:
            return  # only tests build a gate without a listener, and call its application themselves
        page = shared_memory("tidegate-pressure", PAGE_BYTES, NEEDED_BY)
        fingerprints = shared_memory("tidegate-fingerprints", FINGERPRINT_BYTES, NEEDED_BY)
        # `control`: the descriptor by which workers reach `self.listener`.
        self.listener, control = private_listener(BACKLOG)
        self._shared, self._page = (page, fingerprints, control), PressurePage.create(page)
        inherited = Inherited(listener.fileno(), control, page, fingerprints)
        # Workers get the URL by itself: that of an embedded store is in no setting. Their settings name no
        # file: beside the URL that was read from it they would be refused for having both.
        values = settings.model_dump(mode="json")
        file, values["store_url_file"] = values["store_url_file"], None
        for number in range(1, settings.workers + 1):
            config = WorkerConfig(f"worker-{number}", inherited, store_url, values, file)
            self.workers.append(_new_worker(config, metrics, sources))

    def pids(self) -> dict[str, int]:
        """The process ids of those that are up, by name."""
        return {worker.name: pid for worker in self.workers if (pid := worker.pid) is not None}

    def reports(self) -> Mapping[str, WorkerReport]:
        """The last report of each worker that is up, also of one that hangs, by its name."""
        return {worker.name: worker.report for worker in self.workers if worker.report is not None}

    def in_flight_bytes(self) -> Mapping[str, int]:
        """Bytes of bodies and of queued payloads in each worker that is up, by its name."""
        return {name: report.in_flight_bytes for name, report in self.reports().items()}

    def streams(self) -> int:
        """Count the clients that read GET /stream from all workers."""
        return sum(report.streams for report in self.reports().values())

    def requests(self) -> int:
        """Count the requests under way that workers answer themselves."""
        return sum(report.requests for report in self.reports().values())

    def rejections(self) -> list[Mapping[str, Rejection]]:
        """Return the last rejection of each feed, as each worker that is up has it."""
        return [report.rejections for report in self.reports().values()]

    def falls(self) -> Mapping[str, Mapping[str, Fall]]:
        """Return how far partitions of the store fell below what they had told each worker that is up."""
        return {name: report.falls for name, report in self.reports().items()}

    def unready_reasons(self) -> list[str]:
        """What keeps workers from taking traffic: none is up, one does not answer, or one has no store."""
        if self.workers and not self.pids():
            return ["no worker is up"]
        up = [worker for worker in self.workers if worker.pid is not None]
        silent = [f"{worker.name} does not answer" for worker in up if not worker.answers]
        downs = {name: report.store_down for name, report in self.reports().items()}
        return silent + [f"the store is down for {name} {down}" for name, down in downs.items() if down]

    def warnings(self) -> Mapping[WarningKey, str]:
        """Name the workers that are not up while others are; nothing when all are up or none is."""
        missing = [worker.name for worker in self.workers if worker.pid is None]
        if not missing or len(missing) == len(self.workers):
            return {}
        up, wanted = len(self.workers) - len(missing), len(self.workers)
        take = "takes" if up == 1 else "take"
        sentence = f"{up} of {wanted} workers {take} traffic; not up: {', '.join(missing)} (see the log)"
        return {WarningKey(WarningName.WORKERS_DOWN): sentence}

    def publish(self, headroom: MemoryHeadroom) -> None:
        """Write to the shared page whether to refuse ingest, and how many bytes are left."""
        if self._page is not None:
            self._page.publish(headroom)

    def publish_store_drill(self, ends_seconds: float) -> None:
        """Write to the shared page until when a drill has the store taken for down (monotonic clock)."""
        if self._page is not None:
            self._page.publish_store_drill(ends_seconds)

    async def ask(self) -> None:
        """Ask all that are up for their reports, and wait 0.1 s at most for the answers."""
        up = [asyncio.create_task(worker.ask()) for worker in self.workers if worker.pid is not None]
        if up:
            self._asking.update(up)
            for task in up:
                task.add_done_callback(self._asking.discard)
            await asyncio.wait(up, timeout=ASK_WAIT_SECONDS)

    async def finish_asking(self) -> None:
        """Wait for the questions that are under way, so that none is left when the event loop ends."""
        await asyncio.gather(*self._asking, return_exceptions=True)

    async def free_memory(self, name: str, action: str) -> None:
        """Have a worker return memory by `gc`, `trim` or `shrink`; log when it has not answered after 5 s."""
        for worker in self.workers:
            if worker.name == name and worker.pid is not None:
                await worker.free_memory(action)

    async def examine(self, name: str, leak: bytes) -> bytes | None:
        """Send a worker a `ProvenLeak` as JSON, and return its `Diagnosis` as JSON within two minutes.

        None when it is not up or does not answer; empty when it found nothing.
        """
        up = (worker for worker in self.workers if worker.name == name and worker.pid is not None)
        worker = next(up, None)
        return await worker.examine(leak) if worker is not None else None

    def close(self) -> None:
        """Close what was shared with workers, of which none may run now; the server closes the listener."""
        for descriptor in self._shared:
            os.close(descriptor)

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics of the pool itself, none without workers (prometheus_client)."""
        if not self.workers:
            return
        yield from single("workers", "Workers there should be", len(self.workers))
        yield from single("workers_up", "Workers that run", len(self.pids()))
        restarts = counter("worker_restarts", "Workers started again because they had ended")
        restarts.add_metric([], self.restarts)
        yield restarts
        started = gauge(
            "worker_start_time_seconds",
            "When a worker that runs was started, seconds since the epoch",
            "process",
        )
        for worker in self.workers:
            if worker.pid is not None:
                started.add_metric([worker.name], worker.start_time_seconds)
        yield started
