"""The composition root: builds every part once, wires them, starts and stops them in order."""

from copy import copy
from importlib.metadata import version
from socket import socket
from typing import Any

from app.alerts.receiver import AlertReceiver
from app.auth import Access
from app.cleanup.run import Cleanup
from app.errors import MemoryPressure, StoreFull
from app.guard.actions import Actions
from app.guard.collector import GuardCollector
from app.guard.diagnosis.examiner import Examiner
from app.guard.diagnosis.figures import ProcessReader
from app.guard.guard import Clock, Guard, publish_to_nobody
from app.guard.service_memory import ServiceMemory, store_explained_bytes
from app.ingest.plane import DataPlane, Service
from app.metrics.catalogue import Metrics
from app.metrics.exposition import Scrapes
from app.models import Mode, Trigger
from app.observability.collector import FiguresCollector
from app.observability.stats import StatsBoard
from app.process.resident_memory import Processes
from app.reports.recorder import Recorder, gate_name
from app.reports.service import Reports
from app.reports.wiring import Parts, figures_of
from app.runtime_settings.sync import SettingsKeeper
from app.schedule import Rounds
from app.server.connections import ClientConnections
from app.settings.model import Settings
from app.store.address import normal_url
from app.store.embedded import EmbeddedStore
from app.store.figures import Sizes
from app.store.history import StoredSamples
from app.store.lease import StoreLease
from app.store.live_settings import LiveSettings
from app.store.session import StoreSession
from app.tasks import Tasks
from app.workers.pool.pool import ASK_SECONDS, Workers


class Runtime:
    """One gate: its parts, as attributes the API uses; with workers, these take transactions in."""

    def __init__(self, settings: Settings) -> None:
        self.live = LiveSettings(settings)
        self.version = version("tidegate")
        self.is_stopping = False
        self.connections = ClientConnections()
        self.metrics = Metrics(settings.max_sources, self.version)
        self.scrapes = Scrapes(self.metrics.registry)
        access = Access(settings)  # first: what is wrong with it is found before anything is started
        self._embedded = None if settings.store_url else EmbeddedStore(settings.embedded_store_limit_bytes)
        self._workers = Workers(settings) if settings.workers > 1 else None
        url = self._embedded.url if self._embedded else normal_url(settings.store_url or "")
        self.session = StoreSession(url, settings.store_deadline_seconds, self.metrics)
        self.plane = DataPlane(
            self.live,
            self.session,
            self.metrics,
            access,
            Service(lambda: self.guard.room_bytes, lambda: self.guard.refuses_ingest),
        )
        self._tasks = Tasks(self.metrics)
        self._build(settings)

    def _build(self, settings: Settings) -> None:
        maps, embedded = self.plane.maps, self._embedded
        workers = self._workers
        self._processes = processes = Processes(
            lambda: embedded.pid if embedded else None, workers.pids if workers else dict
        )
        self.sizes = Sizes(maps, self.session)
        self.keeper = SettingsKeeper(self.live, maps, self.metrics, self._apply)
        own_store = self.session if embedded else None
        self.cleanup = Cleanup(maps, self.metrics, processes.total_bytes, own_store)
        self.alerts = AlertReceiver(
            self.cleanup.run,
            self.metrics,
            lambda: self.session.down_reason,
            lambda: self.settings.alert_cooldown_seconds,
        )
        clock = Clock()
        self.examiner = Examiner(
            lambda: self.settings,
            ProcessReader(lambda: self.plane.in_flight_bytes, lambda: len(self.connections)),
            self._keyspace,
            clock.wall_ms,
            workers.examine if workers else None,
        )
        self.guard = self._build_guard(processes, clock)
        self.stats = StatsBoard(
            self.version,
            self.live,
            self.sizes,
            self.session,
            self.metrics,
            self.cleanup,
            processes,
            lambda: self.guard.status,
            self.plane.access,
        )
        stored = StoredSamples(self.session, lambda: maps.layout)
        figures = figures_of(Parts(processes, self.sizes, self.live, lambda: self.guard.status, self.metrics))
        self.recorder = Recorder(gate_name(settings), figures, stored, lambda: self.session.is_up, clock)
        self.reports = Reports(stored, lambda: self.settings.leak_warmup_seconds, clock.wall_ms, self.version)
        self._rounds = Rounds(
            tasks=self._tasks,
            embedded=embedded,
            session=self.session,
            live=self.live,
            sizes=self.sizes,
            keeper=self.keeper,
            cleanup=self.cleanup,
            guard=self.guard,
            examiner=self.examiner,
            recorder=self.recorder,
            stats=self.stats,
            access=self.plane.access,
        )
        self.metrics.registry.register(FiguresCollector(self.sizes, self.live, processes))
        self.metrics.registry.register(
            GuardCollector(
                lambda: self.guard.status,
                lambda: self.examiner.latest,
                lambda: self.settings,
                self._client_connections,
                workers.reports if workers else dict,
            )
        )

    def _build_guard(self, processes: Processes, clock: Clock) -> Guard:
        workers = self._workers
        memory = ServiceMemory(
            lambda: self.settings,
            processes,
            lambda: self.sizes.store,
            self._maps_bytes,
            self._in_flight_bytes,
        )
        actions = Actions(
            self.metrics,
            memory.resident_bytes,
            emergency_cleanup=lambda shed: self.cleanup.run(Trigger.EMERGENCY, Mode.EMERGENCY, shed=shed),
            trim_store=self.cleanup.trim_store,
            shrink=self.connections.drop_idle,
            in_worker=workers.free_memory if workers else None,
        )
        return Guard(
            lambda: self.settings,
            memory.readers(),
            actions,
            self.examiner.examine,
            self.metrics,
            clock,
            StoreLease(self.session, lambda: self.plane.maps.layout, "emergency-cleanup").take,
            workers.publish if workers else publish_to_nobody,
        )

    @property
    def settings(self) -> Settings:
        """The settings in force now; they can change at every tick."""
        return self.live.settings

    @property
    def private_listener(self) -> socket | None:
        """Where this process answers its workers; None without workers."""
        return self._workers.listener if self._workers else None

    async def start(self) -> None:
        """Start the store and the background tasks; the gate is ready when this returns, if the store is."""
        self.plane.coalescer.start()
        await self._rounds.start()

    async def start_workers(self, listener: socket) -> None:
        """Let the workers take transactions in; for a gate that has any.

        Raises:
            WorkerFailed: one could not be started.
        """
        if self._workers is not None:
            sources = self.plane.sources
            await self._workers.start(listener, self.session.url, self.metrics, sources, self._follow_workers)
            self._tasks.every(ASK_SECONDS, "workers", self._workers.ask)

    async def stop_workers(self) -> None:
        """Let the workers finish what they have taken in."""
        self.is_stopping = True
        if self._workers is not None:
            await self._workers.stop()

    async def ask_workers(self) -> None:
        """Bring the figures up to date with what workers count; waits a tenth of a second at most."""
        if self._workers is not None:
            await self._workers.ask()

    async def stop(self) -> None:
        """Finish what was accepted, then stop everything; the embedded store last."""
        self.is_stopping = True
        await self.plane.coalescer.close()
        await self._rounds.stop()
        await self.alerts.close()
        await self.examiner.close()
        await self.session.close()
        if self._embedded is not None:
            await self._embedded.stop()
        if self._workers is not None:
            self._workers.close()

    def unready_reasons(self) -> list[str]:
        """Why this gate cannot take traffic now; empty when it can."""
        reasons = []
        if self.is_stopping:
            reasons.append("the gate is stopping")
        if self.session.down_reason is not None:
            reasons.append(
                f"the store is down ({self.session.down_reason.kind}): {self.session.down_reason.advice}"
            )
        elif self.plane.maps.is_full:
            reasons.append(f"the store is full: {StoreFull.advice}")
        if self.plane.access.ingest.is_shut:
            reasons.append("the file of TIDEGATE_INGEST_TOKENS_FILE holds no token: nobody is admitted")
        if self.guard.refuses_ingest:
            reasons.append(f"{MemoryPressure.title}: see GET /memory")
        return reasons + (self._workers.unready_reasons() if self._workers else [])

    def warnings(self) -> list[str]:
        """What somebody should look at although this gate can take traffic."""
        return self._workers.warnings() if self._workers else []

    def _apply(self, settings: Settings) -> None:
        """Pass changed settings to those who do not look them up each time."""
        self.plane.apply(settings)
        self._tasks.reconsider()

    def _follow_workers(self) -> None:
        """One came up or ended: its memory comes under watch, or is that of nobody."""
        if self._workers is not None:
            self.guard.watch_only(self._workers.pids())
        self._processes.read()

    def _client_connections(self) -> int:
        return len(self.connections) if self._workers is None else self._workers.connections

    async def _keyspace(self) -> list[dict[str, Any]]:
        """Ask each master of the store how many keys it has; a store that is down is not asked."""
        if self.session.down_reason is not None:
            raise copy(self.session.down_reason)
        return await self.session.info("keyspace")

    def _maps_bytes(self) -> int:
        server = self.session.server
        return store_explained_bytes(self.sizes.maps, server.name if server else "valkey")

    def _in_flight_bytes(self) -> dict[str, int]:
        workers = self._workers.in_flight_bytes() if self._workers else {}
        return {"gate": self.plane.in_flight_bytes, **workers}
