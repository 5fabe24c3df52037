"""The composition root: builds every part of a gate once, hands them to one another, starts and stops them.

What reads or does something is built before what uses it. Two parts need one another: the data plane has to
know what memory allows, which the guard finds out, and the guard asks how much the data plane holds. So the
data plane is given a `MemoryHeadroom`, which the guard writes.
"""

from contextlib import suppress
from importlib.metadata import version
from socket import socket
from typing import Any

from app import schedule
from app.alerts.receiver import AlertReceiver
from app.auth import Access
from app.cleanup.run import Cleanup
from app.consumers.consumer_plane import ConsumerPlane
from app.drills.drill_metrics import DrillCollector
from app.drills.drills import Drills, DrillSurroundings
from app.drills.effects import DrillEffects
from app.errors import StoreError
from app.feeds.feeds_in_force import FeedsInForce
from app.guard.actions import Actions
from app.guard.diagnosis.examiner import Examiner
from app.guard.diagnosis.process_figures import ProcessReader
from app.guard.guard import Clock, Guard
from app.guard.memory_metrics import GuardCollector
from app.guard.memory_sensors import ServiceMemory
from app.ingest.data_plane import DataPlane
from app.metrics.catalogue import Metrics
from app.metrics.counters import RequestsInFlight
from app.metrics.families import export_process
from app.models import AcceptanceSignal, MemoryHeadroom, Mode, Trigger
from app.observability.consumer_metrics import ConsumersCollector
from app.observability.map_and_store_metrics import FiguresCollector
from app.observability.process_load import GateLoad, ProcessLoadCollector
from app.observability.readiness import ReadinessCheck
from app.observability.scrapes import Scrapes
from app.observability.setback_warnings import SetbackNotes
from app.observability.stats import ServiceStats
from app.observability.warnings import ServiceWarnings
from app.process.resident_memory import Processes
from app.process.restart import ControlledRestart
from app.reports.history_file import HistoryFile
from app.reports.make_report import Reports
from app.reports.recorded_figures import figures_of
from app.reports.recorder import Recorder
from app.runtime_settings.changes import SettingsSync
from app.server.open_connections import OpenConnections
from app.settings.gate_name import gate_name
from app.settings.model import Settings
from app.store.embedded_store import EmbeddedStore
from app.store.history import StoredSamples
from app.store.latest_figures import Sizes
from app.store.lock import StoreLock
from app.store.session import StoreSession
from app.store.settings_in_force import LiveSettings
from app.store.store_url import normal_url
from app.store.url_file import connector_of
from app.tasks import Tasks
from app.web.gather_figures import Board
from app.web.viewers import Viewers
from app.workers.pool.pool import WorkerPool
from app.workers.pool.supervisor import Supervisor


class Runtime:
    """One gate: its parts, as attributes; with workers, these take transactions in from `listener`."""

    def __init__(self, settings: Settings, listener: socket | None = None) -> None:
        self.live = LiveSettings(settings)
        self.version = version("tidegate")
        # First: what is wrong with them is found before anything is started.
        access, feeds = Access(settings), FeedsInForce(settings.feeds_file, settings.workers)
        self.metrics = Metrics(settings.max_sources, self.version)
        self.connections = OpenConnections()
        self.requests = RequestsInFlight(settings.max_in_flight_requests)
        self._tasks = Tasks(self.metrics)
        self.embedded = None if settings.store_url else EmbeddedStore(settings.embedded_store_limit_bytes)
        url = self.embedded.url if self.embedded else normal_url(settings.store_url or "")
        deadline_seconds, prefix = settings.store_deadline_seconds, settings.store_prefix
        connector = connector_of(url, settings.store_url_file, deadline_seconds, prefix)
        self.session = StoreSession(connector, self.metrics)
        self._headroom, self._drill, self.restart = MemoryHeadroom(), DrillEffects(), ControlledRestart()
        signal = AcceptanceSignal()  # the data plane gives it, consumers listen
        self.consumers = ConsumerPlane(
            self.live, self.session, lambda: self.plane.is_busy, lambda: self.plane.maps.ends, signal
        )
        self.plane = DataPlane(self.live, self.session, self.metrics, access, self._headroom, feeds, signal)
        self.workers = WorkerPool(settings, listener, url, self.metrics, self.plane.sources)
        self._build_control_plane()
        self._build_observers()
        self._supervisor = Supervisor(self.workers, self._follow_workers)
        self._upkeep = schedule.StoreUpkeep(self.session, self._refresh, self.embedded, self._drill.no_store)
        parts = (
            *(self.live, self.session, self.plane, self.plane.sources, self.consumers, self.workers),
            self.sizes,
            *(self.settings_sync, self.cleanup, self.alerts, self.examiner, self.guard, self.readiness),
            *(self.drills, self.stats, self.reports, self.scrapes, self.board),
        )
        self.parts: dict[type, object] = {type(part): part for part in parts}
        """The parts that handlers ask for, by their classes."""

    def _build_control_plane(self) -> None:
        """Build what keeps the gate in order: settings, cleanup, alerts, the memory guard."""
        maps, embedded = self.plane.maps, self.embedded
        self._processes = Processes(lambda: embedded.pid if embedded else None, self.workers.pids)
        self.setbacks = SetbackNotes(self.metrics)
        self.sizes = Sizes(maps.partitions, self.session.info, self.setbacks.note, self.workers.falls)
        self.settings_sync = SettingsSync(self.live, maps, self.metrics, self._apply)
        own_store = self.session if embedded else None
        self.cleanup = Cleanup(maps, self.metrics, self._processes.total_bytes, own_store)
        self.alerts = AlertReceiver(
            self.cleanup.run,
            self.metrics,
            lambda: self.session.down_reason,
            lambda: self.settings.alert_cooldown_seconds,
        )
        self._clock = Clock()
        self.examiner = Examiner(
            lambda: self.settings,
            ProcessReader(lambda: self.plane.in_flight_bytes, lambda: len(self.connections)),
            self._keyspace,
            self._clock.wall_ms,
            self.workers.examine,
        )
        self.guard = self._build_guard()
        around = DrillSurroundings(
            *(self.guard, self.examiner, self.cleanup, lambda: self.session.is_up),
            *(self.workers.publish_store_drill, self._clock.wall_ms),
        )
        self.drills = Drills(self._drill, around)
        self.readiness = ReadinessCheck(self.session, maps, self.plane.access, self.guard, self.workers)

    def _build_guard(self) -> Guard:
        memory = ServiceMemory(
            lambda: self.settings,
            self._processes,
            self.sizes.readable_store,
            self._maps_bytes,
            lambda: {"gate": self.plane.in_flight_bytes, **self.workers.in_flight_bytes()},
            self._drill.memory_share,
        )
        actions = Actions(
            self.metrics,
            memory.resident_bytes,
            emergency_cleanup=lambda shed: self.cleanup.run(Trigger.EMERGENCY, Mode.EMERGENCY, shed=shed),
            trim_store=self.cleanup.trim_store,
            shrink=self.connections.drop_idle,
            in_worker=self.workers.free_memory,
        )
        return Guard(
            lambda: self.settings,
            memory.sensors(),
            actions,
            self.examiner.examine,
            self.metrics,
            self._clock,
            StoreLock(self.session, lambda: self.plane.maps.layout, "emergency-cleanup").take,
            *(self._drill.leaks, self.restart.ask),
            self._headroom,
            self.workers.publish,
        )

    def _build_observers(self) -> None:
        """Build what only looks at the other parts: stats, metrics, reports."""
        settings, maps = self.settings, self.plane.maps
        read, is_up = self.consumers.consumers.read, lambda: self.session.is_up
        self.consumer_metrics = ConsumersCollector(read, self.live, is_up)
        self.warnings = ServiceWarnings(
            *(self.live, self.sizes, self.session, maps, lambda: self.guard.status),
            *(self.plane.access, self.plane.sources, self.plane.feeds),
            [part.warnings for part in (self.consumer_metrics, self.setbacks, self.drills, self.workers)],
            lambda: [self.plane.rejections.latest, *self.workers.rejections()],
            self._maps_bytes,
        )
        self.stats = ServiceStats(
            *(self.version, self.live, self.sizes, self.metrics, self.cleanup, self._processes),
            lambda: self.guard.status,
            *(self.warnings, self.workers.ask, is_up),
        )
        stored, clock = StoredSamples(self.session, lambda: maps.layout), self._clock
        figures = figures_of(self._processes, self.sizes, self.live, lambda: self.guard.status, self.metrics)
        file = HistoryFile.of(settings)
        self.recorder = Recorder(gate_name(settings), figures, stored, is_up, clock, file)
        self.reports = Reports(stored, lambda: self.settings.leak_warmup_seconds, clock.wall_ms, self.version)
        for collector in (
            self.workers,
            FiguresCollector(self.sizes, self.live, self._processes),
            self.consumer_metrics,
            DrillCollector(self.drills),
            GuardCollector(
                lambda: self.guard.status,
                lambda: self.examiner.latest,
                lambda: self.settings,
                self.workers.reports,
            ),
            ProcessLoadCollector(self._load, self.workers.reports),
            self.warnings,
        ):
            self.metrics.registry.register(collector)
        export_process(self.metrics.registry)
        streams = self.metrics.stream_subscribers
        streams.set_function(lambda: self.consumers.streams.taken + self.workers.streams())
        self.scrapes = Scrapes(self.metrics.registry)
        self.board = Board(
            *(self.stats, self.sizes, self.readiness.now, self.plane.sources),
            *(self.consumer_metrics, self.guard, self.cleanup, self.plane.access),
        )
        self.viewers = Viewers(self.board.document)

    def _load(self) -> GateLoad:
        """Return what this process has open and uses; with workers, those have the connections of clients."""
        clients, held = (self.connections, self.plane.held) if self.settings.workers == 1 else (None, None)
        return GateLoad.now(clients, self.examiner.latest, self.requests, held)

    @property
    def settings(self) -> Settings:
        """The settings in force now; they can change at every tick."""
        return self.live.settings

    async def start(self) -> None:
        """Start the store and the background tasks; the gate is ready when this returns, if the store is.

        Raises:
            OSError, ConfigError: the embedded store cannot be started.
        """
        self.plane.flush_queue.start()
        await self._upkeep.start()
        # What has to be known before traffic is taken.
        await self._tasks.once("store", self._upkeep.keep)
        await self._tasks.once("memory", self.sample_memory)
        common = schedule.common_tasks(self._upkeep, self._tick, self.plane)
        self._tasks.start([*common, *schedule.gate_tasks(self)])

    async def start_workers(self) -> None:
        """Let the workers take transactions in; nothing is to be done in a gate of one process.

        Raises:
            WorkerFailed: one could not be started.
        """
        await self._supervisor.start()
        if self.settings.workers > 1:
            self._tasks.every(schedule.ASK_WORKERS_SECONDS, "workers", self.workers.ask)

    async def stop_workers(self) -> None:
        """Let the workers finish what they have taken in."""
        self.readiness.is_stopping = True
        await self._supervisor.stop()

    async def stop(self) -> None:
        """Finish what was accepted, then stop everything; the embedded store last."""
        self.readiness.is_stopping = True
        self.drills.stop()
        await self.plane.flush_queue.close()
        await self.consumers.close()
        await self._tasks.stop()
        await self.alerts.close()
        await self.examiner.close()
        await self.session.close()
        if self.embedded is not None:
            await self.embedded.stop()
        self.workers.close()

    async def sample_memory(self) -> None:
        """Take a sample of memory, and let the guard look for leaks in it."""
        if self.session.is_up:
            with suppress(StoreError):
                await self.sizes.refresh_store()
        reading = self.guard.read_memory()
        await self.examiner.note(reading, is_warm=self.guard.is_warm)
        await self.guard.tick(reading)

    async def _tick(self) -> None:
        await self._upkeep.tick()
        self.warnings.log_changes()

    async def _refresh(self) -> None:
        await self.sizes.refresh()
        await self.plane.follow_store(self.sizes.maps)
        await self.settings_sync.follow()
        self.recorder.note_peaks()

    def _apply(self, settings: Settings) -> None:
        """Pass changed settings to those who do not look them up each time."""
        self.plane.apply(settings)
        self._tasks.reconsider()

    def _follow_workers(self) -> None:
        """One came up or ended: its memory comes under watch, or is nobody's any more."""
        self.guard.watch_only(self.workers.pids())
        self._processes.read()

    async def _keyspace(self) -> list[dict[str, Any]]:
        """Ask each master of the store how many keys it has; a store that is down is not asked."""
        self.session.ensure_up()
        return await self.session.info("keyspace")

    def _maps_bytes(self) -> int:
        return self.plane.full_store.maps_bytes(self.sizes.maps)
