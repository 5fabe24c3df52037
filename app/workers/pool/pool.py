"""All workers: started together, started again when they end, stopped before the control plane."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from socket import socket

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.errors import WorkerFailed
from app.ingest.recent import FINGERPRINT_BYTES
from app.ingest.source_statistics import SourceStatistics
from app.metrics.catalogue import NAMESPACE, Metrics
from app.process.child_processes import private_listener, shared_memory
from app.settings.model import Settings
from app.workers.pool import pressure
from app.workers.pool.assignment import Assignment, Inherited
from app.workers.pool.heartbeat import BEAT_SECONDS, hangs
from app.workers.pool.member import Member
from app.workers.pool.report import WorkerReport

log = structlog.get_logger()

NEEDED_BY = "TIDEGATE_WORKERS above 1"
BACKLOG = 2048
ASK_SECONDS = 1.0
# A scrape waits no longer for workers that do not answer.
SCRAPE_SECONDS = 0.1
# A worker that ran for so long is started again at once; one that keeps ending, with growing pauses.
CALM_SECONDS = 30.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0


class Workers(Collector):
    """The pool; it is told of its surroundings by `start`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pressure = shared_memory("tidegate-pressure", pressure.BYTES, NEEDED_BY)
        self._fingerprints = shared_memory("tidegate-fingerprints", FINGERPRINT_BYTES, NEEDED_BY)
        self._page = pressure.PressurePage.create(self._pressure)
        self._members: list[Member] = []
        self._supervisors: list[asyncio.Task[None]] = []
        self._asking: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._changed: Callable[[], None] = lambda: None
        self.listener, self._door = private_listener(BACKLOG)
        """Where this process answers its workers."""
        self.restarts = 0

    def pids(self) -> dict[str, int]:
        """The process ids of those that are up, by name."""
        return {member.name: pid for member in self._members if (pid := member.pid) is not None}

    def in_flight_bytes(self) -> Mapping[str, int]:
        """Bytes of bodies and of queued payloads, of those that are up."""
        return {member.name: member.report.in_flight_bytes for member in self._members if member.report}

    def reports(self) -> Mapping[str, WorkerReport]:
        """The last report of each worker that is up, by its name."""
        return {member.name: member.report for member in self._members if member.report}

    @property
    def connections(self) -> int:
        """Open connections of clients."""
        return sum(member.report.connections for member in self._members if member.report)

    @property
    def requests(self) -> int:
        """Requests under way that workers answer themselves."""
        return sum(member.report.requests for member in self._members if member.report)

    def unready_reasons(self) -> list[str]:
        """What keeps workers from taking traffic: none is up, or one does not answer or reach the store."""
        if not self.pids():
            return ["no worker is up"]
        silent = [
            f"{member.name} does not answer" for member in self._members if member.pid and not member.answers
        ]
        apart = (member for member in self._members if member.report and member.report.store_down)
        return silent + [f"{member.name} does not reach the store" for member in apart]

    def warnings(self) -> list[str]:
        """What does not keep the gate from taking traffic: some workers are not up, others are."""
        missing = [member.name for member in self._members if member.pid is None]
        if not missing or len(missing) == len(self._members):
            return []
        up, wanted = len(self._members) - len(missing), len(self._members)
        take = "takes" if up == 1 else "take"
        return [f"{up} of {wanted} workers {take} traffic; not up: {', '.join(missing)} (see the log)"]

    def publish(self, *, refuses: bool, room_bytes: int | None) -> None:
        """Tell all workers at once whether to refuse ingest, and the bytes below the limit."""
        self._page.publish(refuses=refuses, room_bytes=room_bytes)

    async def start(
        self,
        listener: socket,
        store_url: str,
        metrics: Metrics,
        sources: SourceStatistics,
        changed: Callable[[], None],
    ) -> None:
        """Start all; on return each one takes traffic. `changed` is called when one comes up or ends.

        Raises:
            WorkerFailed: one ended before it was up; the others are stopped.
        """
        self._changed = changed
        metrics.registry.register(self)
        metrics.in_flight_elsewhere = lambda: self.requests
        settings = self._settings.model_dump(mode="json") | {"store_url_file": None}
        inherited = Inherited(listener.fileno(), self._door, self._pressure, self._fingerprints)
        for number in range(1, self._settings.workers + 1):
            assignment = Assignment(f"worker-{number}", inherited, store_url, settings)
            metrics.start_process(assignment.name)
            self._members.append(Member(assignment, metrics, sources))
        begun = await asyncio.gather(*map(self._begin, self._members), return_exceptions=True)
        failures = [str(failure) for failure in begun if isinstance(failure, BaseException)]
        if failures:
            await self.stop()
            raise WorkerFailed(failures[0])
        supervisors = ((self._keep(member), self._watch(member)) for member in self._members)
        self._supervisors = [asyncio.create_task(work) for pair in supervisors for work in pair]

    async def ask(self) -> None:
        """Ask all for their figures, for a tenth of a second; who is late is counted the next time."""
        up = [asyncio.create_task(member.ask()) for member in self._members if member.pid is not None]
        if up:
            self._asking.update(up)
            for task in up:
                task.add_done_callback(self._asking.discard)
            await asyncio.wait(up, timeout=SCRAPE_SECONDS)

    async def free_memory(self, worker: str, how: str) -> None:
        """Make a worker return memory to the system."""
        for member in self._members:
            if member.name == worker and member.pid is not None:
                await member.free_memory(how)

    async def examine(self, worker: str, case: bytes) -> bytes | None:
        """Have a worker examine what grew in it, for up to two minutes; None when it cannot say."""
        up = (member for member in self._members if member.name == worker and member.pid is not None)
        member = next(up, None)
        return await member.examine(case) if member is not None else None

    async def stop(self) -> None:
        """Stop all, each after it has finished what it had taken in."""
        self._stopping.set()
        await asyncio.gather(*(member.stop() for member in self._members))
        await asyncio.gather(*self._supervisors, *self._asking, return_exceptions=True)

    def close(self) -> None:
        """Let go of what was shared with the workers; none may run any more."""
        for descriptor in (self._pressure, self._fingerprints, self._door):
            os.close(descriptor)

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        wanted = GaugeMetricFamily(f"{NAMESPACE}_workers", "Workers there should be")
        up = GaugeMetricFamily(f"{NAMESPACE}_workers_up", "Workers that run")
        restarts = CounterMetricFamily(
            f"{NAMESPACE}_worker_restarts", "Workers started again because they had ended"
        )
        started = GaugeMetricFamily(
            f"{NAMESPACE}_worker_start_time_seconds",
            "When a worker that runs was started, seconds since the epoch",
            labels=["process"],
        )
        wanted.add_metric([], self._settings.workers)
        up.add_metric([], len(self.pids()))
        restarts.add_metric([], self.restarts)
        for member in self._members:
            if member.pid is not None:
                started.add_metric([member.name], member.start_time_seconds)
        return wanted, up, restarts, started

    async def _begin(self, member: Member) -> None:
        await member.begin()
        if not await member.came_up():
            code = await member.ended()
            raise WorkerFailed(f"{member.name} ended with {code} before it was up; its last lines say why")
        self._changed()

    async def _keep(self, member: Member) -> None:
        """Wait for the end of a worker, and start it again, until all are stopped."""
        pause = 0.0
        while True:
            code = await member.ended()
            self._changed()
            if self._stopping.is_set():
                return
            if time.monotonic() - member.started_at > CALM_SECONDS:
                pause = 0.0
            log.error(
                "worker ended, starting it again", worker=member.name, exit_code=code, pause_seconds=pause
            )
            if await self._stops_within(pause):
                return
            pause = min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, 2 * pause))
            self.restarts += 1
            await self._again(member)

    async def _watch(self, member: Member) -> None:
        """End a worker whenever it hangs, so that it is started again, until all are stopped."""
        while await hangs(member.lives, lambda: self._stops_within(BEAT_SECONDS)):
            member.kill()

    async def _again(self, member: Member) -> None:
        try:
            await member.begin()
        except Exception as error:  # noqa: BLE001  whatever it was: without this task no worker comes back
            log.error("worker not started", worker=member.name, error=str(error))  # noqa: TRY400  says it all
            return
        if self._stopping.is_set():
            await member.stop()
        elif await member.came_up():
            self._changed()

    async def _stops_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        return self._stopping.is_set()
