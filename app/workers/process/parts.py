"""What a worker is made of: a data plane with a store session of its own, and what keeps both up to date."""

import asyncio
import time
from importlib.metadata import version
from pathlib import Path

from app.auth import Access
from app.consumers.consumer_plane import ConsumerPlane
from app.feeds.feeds_in_force import FeedsInForce
from app.guard.diagnosis.process_figures import open_descriptors
from app.ingest.data_plane import DataPlane
from app.ingest.recent_signatures import Fingerprints
from app.metrics.catalogue import Metrics
from app.metrics.counters import RequestsInFlight
from app.models import AcceptanceSignal
from app.runtime_settings.changes import SettingsSync
from app.schedule import StoreUpkeep, common_tasks
from app.server.open_connections import OpenConnections
from app.settings.model import Settings
from app.settings.process_limits import process_limits
from app.store.session import StoreSession
from app.store.settings_in_force import LiveSettings
from app.store.url_file import connector_of
from app.tasks import Task, Tasks
from app.workers.pool.pressure_in_shared_memory import PressurePage
from app.workers.pool.worker_config import WorkerConfig
from app.workers.pool.worker_counters import WorkerReport
from app.workers.process.examiner import WorkerExaminer


class WorkerParts:
    """The parts of one worker: settings follow the store, memory pressure follows the control plane."""

    def __init__(self, config: WorkerConfig, settings: Settings) -> None:
        self.live = LiveSettings(settings)
        self.metrics = Metrics(settings.max_sources, version("tidegate"))
        file = Path(config.store_url_file) if config.store_url_file else None
        deadline_seconds, prefix = settings.store_deadline_seconds, settings.store_prefix
        connector = connector_of(config.store_url, file, deadline_seconds, prefix)
        self.session = StoreSession(connector, self.metrics)
        self.connections = OpenConnections()
        headroom = PressurePage.follow(config.inherited.pressure, settings.workers)
        fingerprints = Fingerprints.follow(config.inherited.fingerprints)
        access = Access(settings)
        feeds = FeedsInForce(settings.feeds_file, settings.workers, has_to_start=True)
        signal = AcceptanceSignal()  # the data plane gives it, consumers listen
        self.consumers = ConsumerPlane(
            self.live, self.session, lambda: self.plane.is_busy, lambda: self.plane.maps.ends, signal
        )
        self.plane = DataPlane(
            self.live, self.session, self.metrics, access, headroom, feeds, signal, fingerprints
        )
        self._upkeep = StoreUpkeep(self.session, self._refresh, is_drill=lambda: headroom.is_store_drill)
        self._settings_sync = SettingsSync(self.live, self.plane.maps, self.metrics, self.plane.apply)
        self._tasks = Tasks(self.metrics)
        self.examiner = WorkerExaminer(
            self.live, lambda: self.plane.in_flight_bytes, lambda: len(self.connections)
        )
        self.limits = process_limits(settings)
        self.requests = RequestsInFlight(self.limits.requests)

    async def start(self) -> None:
        """Connect to the store, and begin to take transactions in."""
        self.plane.flush_queue.start()
        await self._tasks.once("store", self._upkeep.keep)
        own = Task("examiner", lambda: self.live.settings.memory_sample_seconds, self.examiner.follow)
        common = common_tasks(self._upkeep, self._upkeep.tick, self.plane)
        self._tasks.start([*common, own])

    async def stop(self) -> None:
        """Finish what was taken in."""
        self.examiner.break_off()
        await self.plane.flush_queue.close()
        await self.consumers.close()
        await self._tasks.stop()
        await self.session.close()

    def report(self, forwarded: int) -> WorkerReport:
        """Tell the control plane how this worker is, which has passed so many requests on to it."""
        down, figures = self.session.down_reason, self.examiner.latest
        return WorkerReport(
            counters=self.metrics.totals(),
            sources=self.plane.sources.totals(),
            in_flight_bytes=self.plane.in_flight_bytes,
            requests=self.requests.count - forwarded,
            in_flight_requests=self.requests.count,
            in_flight_requests_limit=self.requests.limit,
            held=self.plane.held,
            connections=len(self.connections),
            connections_limit=self.connections.limit,
            streams=self.consumers.streams.taken,
            tasks=len(asyncio.all_tasks()),
            descriptors=open_descriptors(),
            cpu_seconds=time.process_time(),
            heap=figures.heap if figures else None,
            python_blocks=figures.python_blocks if figures else None,
            store_down=f"({down.kind}): {down.advice}" if down else None,
            rejections=dict(self.plane.rejections.latest),
            falls=self.plane.maps.falls,
        )

    async def _refresh(self) -> None:
        await self.plane.follow_store(await self.plane.maps.sizes())
        await self._settings_sync.follow()
