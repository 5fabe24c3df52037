"""The composition root: builds every part once, wires them, starts and stops them in order."""

from contextlib import suppress
from importlib.metadata import version

from app.alerts.desk import AlertDesk
from app.auth import Access
from app.cleanup import Cleanup
from app.collector import FiguresCollector
from app.embedded import EmbeddedStore
from app.errors import MemoryPressure, StoreError, StoreFull
from app.guard.build import Surroundings, build_guard
from app.guard.collector import GuardCollector
from app.http.connections import ClientConnections
from app.ingest.body import ByteBudget
from app.ingest.coalescer import Coalescer
from app.ingest.intake import Intake
from app.ingest.lookup import Lookup
from app.ingest.pipeline import Pipeline
from app.live.keeper import SettingsKeeper
from app.memory import Processes
from app.metrics import Metrics
from app.models import MapName, Trigger
from app.reports.daily import Reports
from app.reports.recorder import SAMPLE_SECONDS, Recorder, gate_name
from app.reports.wiring import Parts, figures_of
from app.settings import Settings
from app.sizes import Sizes
from app.sources import Sources
from app.stats import StatsBoard
from app.store.connection import normal_url
from app.store.current import LiveSettings
from app.store.maps import Maps
from app.store.rules import flush_max_items
from app.store.samples import StoredSamples
from app.store.session import StoreSession
from app.tasks import Tasks

TICK_SECONDS = 1.0
CEILING_SECONDS = 0.25
STATS_LOG_SECONDS = 30.0
TOKEN_RELOAD_SECONDS = 5.0

SIGNATURES = frozenset({MapName.SIGNATURES})
OTHER_MAPS = frozenset(MapName) - SIGNATURES


class Runtime:
    """One gate: its parts, as attributes the API uses."""

    def __init__(self, settings: Settings) -> None:
        self.live = LiveSettings(settings)
        self.version = version("tidegate")
        self.is_stopping = False
        self.connections = ClientConnections()
        self.access = Access(settings)
        self.metrics = Metrics(settings.max_sources, self.version)
        self.body_budget = ByteBudget(settings.max_in_flight_bytes)
        self._embedded = None if settings.store_url else EmbeddedStore(settings.embedded_store_limit_bytes)
        url = self._embedded.url if self._embedded else normal_url(settings.store_url or "")
        self.session = StoreSession(url, settings.store_deadline_seconds, self.metrics)
        self._tasks = Tasks(self.metrics)
        self._build(settings)

    def _build(self, settings: Settings) -> None:
        self._maps = maps = Maps(self.session, self.live)
        embedded = self._embedded
        processes = Processes(lambda: embedded.pid if embedded else None)
        self.sources = Sources(self.metrics.source_label)
        self.metrics.registry.register(self.sources)
        self.coalescer = Coalescer(
            Pipeline(maps, self.metrics, self.sources).flush,
            flush_max_items(settings),
            settings.max_queued_items,
            settings.max_queued_bytes,
        )
        self.intake = Intake(self.coalescer, self.metrics)
        self.lookup = Lookup(maps)
        self.sizes = Sizes(maps, self.session)
        self.keeper = SettingsKeeper(self.live, maps, self.metrics, self._apply)
        self.cleanup = Cleanup(maps, self.metrics, processes.total_bytes, self._give_back)
        self.alerts = AlertDesk(
            self.cleanup,
            self.metrics,
            lambda: self.session.down_reason,
            lambda: self.settings.alert_cooldown_seconds,
        )
        self.guard = build_guard(
            Surroundings(
                settings=lambda: self.settings,
                processes=processes,
                sizes=self.sizes,
                cleanup=self.cleanup,
                metrics=self.metrics,
                in_flight=lambda: self.body_budget.held + self.coalescer.bytes,
                shrink=self.connections.drop_idle,
                trim_store=self._give_back,
                examine=lambda *_: None,
            )
        )
        self.stats = StatsBoard(
            self.version,
            self.live,
            self.sizes,
            self.session,
            self.intake,
            self.cleanup,
            processes,
            self.guard,
        )
        stored, clock = StoredSamples(self.session, lambda: maps.layout), self.guard.clock
        figures = figures_of(Parts(processes, self.sizes, self.live, self.guard, self.metrics))
        self.recorder = Recorder(gate_name(settings), figures, stored, lambda: self.session.is_up, clock)
        self.reports = Reports(
            stored, lambda: self.settings.leak_warmup_seconds, clock.wall_ms, self.version
        )
        self.metrics.registry.register(FiguresCollector(self.sizes, self.live, processes))
        self.metrics.registry.register(GuardCollector(self.guard, lambda: self.settings))

    @property
    def settings(self) -> Settings:
        """The settings in force now; they can change at every tick."""
        return self.live.settings

    async def start(self) -> None:
        """Start the store and the background tasks; the gate is ready when this returns, if the store is."""
        self.coalescer.start()
        await self._tick()
        await self._sample_memory()
        self._tasks.every(TICK_SECONDS, "tick", self._tick)
        self._tasks.every(lambda: self.settings.memory_sample_seconds, "memory", self._sample_memory)
        self._tasks.every(CEILING_SECONDS, "ceiling", self.guard.check_ceiling)
        self._tasks.every(
            lambda: self.settings.signature_cleanup_interval_seconds,
            "cleanup-signatures",
            self._clean_signatures,
        )
        self._tasks.every(lambda: self.settings.cleanup_interval_seconds, "cleanup", self._clean_others)
        self._tasks.every(STATS_LOG_SECONDS, "stats-log", self._log_stats)
        self._tasks.every(SAMPLE_SECONDS, "reports", self.recorder.record)
        self._tasks.every(TOKEN_RELOAD_SECONDS, "token-reload", self.access.reload)
        self._tasks.measure_lag()

    async def stop(self) -> None:
        """Finish what was accepted, then stop everything; the embedded store last."""
        self.is_stopping = True
        await self.coalescer.close()
        await self._tasks.stop()
        await self.alerts.close()
        await self.session.close()
        if self._embedded is not None:
            await self._embedded.stop()

    def unready_reasons(self) -> list[str]:
        """Why this gate cannot take traffic now; empty when it can."""
        reasons = []
        if self.is_stopping:
            reasons.append("the gate is stopping")
        if self.session.down_reason is not None:
            reasons.append(
                f"the store is down ({self.session.down_reason.kind}): {self.session.down_reason.advice}"
            )
        elif self._maps.is_full:
            reasons.append(f"the store is full: {StoreFull.advice}")
        if self.guard.refuses_ingest:
            reasons.append(f"{MemoryPressure.title}: see GET /memory")
        return reasons

    def check_pressure(self) -> None:
        """Raise MemoryPressure while nothing may be taken in."""
        if self.guard.refuses_ingest:
            raise MemoryPressure(
                "memory is near its limit (TIDEGATE_MEMORY_HARD_RATIO); cleanup is under way, send this again"
            )

    async def _tick(self) -> None:
        if self._embedded is not None:
            await self._embedded.ensure_running()
        if self.session.is_up:
            await self._refresh()
        else:
            await self.session.probe(self._refresh)
        self.stats.log_crossings()

    async def _refresh(self) -> None:
        await self.sizes.refresh()
        await self.keeper.follow()
        self.recorder.note_peaks()

    def _apply(self, settings: Settings) -> None:
        """Pass changed settings to those who do not look them up each time."""
        self.coalescer.flush_max_items = flush_max_items(settings)
        self._tasks.reconsider()

    async def _give_back(self) -> None:
        if self._embedded is not None:
            await self.session.give_back()

    async def _sample_memory(self) -> None:
        if self.session.is_up:
            with suppress(StoreError):
                await self.sizes.refresh_store()
        await self.guard.tick()

    async def _clean_signatures(self) -> None:
        await self.cleanup.run(Trigger.PERIODIC, maps=SIGNATURES)

    async def _clean_others(self) -> None:
        await self.cleanup.run(Trigger.PERIODIC, maps=OTHER_MAPS)

    async def _log_stats(self) -> None:
        self.stats.log_stats()
