"""The composition root: builds every part once, wires them, starts and stops them in order."""

from importlib.metadata import version

from app.auth import Access
from app.cgroup import find_cgroup
from app.cleanup import Cleanup
from app.collector import FiguresCollector
from app.embedded import EmbeddedStore
from app.errors import StoreFull
from app.ingest.body import ByteBudget
from app.ingest.coalescer import Coalescer
from app.ingest.intake import Intake
from app.ingest.lookup import Lookup
from app.ingest.pipeline import Pipeline
from app.memory import Processes
from app.metrics import Metrics
from app.models import MapName, Trigger
from app.settings import Settings
from app.sizes import Sizes
from app.stats import StatsBoard
from app.store.connection import normal_url
from app.store.maps import Maps
from app.store.rules import flush_max_items, map_rules
from app.store.session import StoreSession
from app.tasks import Tasks

TICK_SECONDS = 1.0
STATS_LOG_SECONDS = 30.0
TOKEN_RELOAD_SECONDS = 5.0

SIGNATURES = frozenset({MapName.SIGNATURES})
OTHER_MAPS = frozenset(MapName) - SIGNATURES


class Runtime:
    """One gate: its parts, as attributes the API uses."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.version = version("tidegate")
        self.is_stopping = False
        self.access = Access(settings)
        self.metrics = Metrics(settings.max_sources, self.version)
        self.body_budget = ByteBudget(settings.max_in_flight_bytes)
        self._embedded = None if settings.store_url else EmbeddedStore(settings.embedded_store_limit_bytes)
        url = self._embedded.url if self._embedded else normal_url(settings.store_url or "")
        self.session = StoreSession(url, settings.store_deadline_seconds, self.metrics)
        self._tasks = Tasks(self.metrics)
        self._build(settings)

    def _build(self, settings: Settings) -> None:
        rules = map_rules(settings)
        self._maps = maps = Maps(self.session, settings)
        embedded = self._embedded
        processes = Processes(lambda: embedded.pid if embedded else None)
        cgroup = find_cgroup()
        limit_bytes = settings.memory_limit_bytes or (cgroup.limit_bytes if cgroup else None)
        self.coalescer = Coalescer(
            Pipeline(maps, self.metrics).flush,
            flush_max_items(settings),
            settings.max_queued_items,
            settings.max_queued_bytes,
        )
        self.intake = Intake(self.coalescer, self.metrics)
        self.lookup = Lookup(maps)
        self.sizes = Sizes(maps, self.session)
        self.cleanup = Cleanup(maps, rules, self.metrics, processes.total_bytes)
        self.stats = StatsBoard(
            self.version, rules, self.sizes, self.session, self.intake, self.cleanup, processes, limit_bytes
        )
        self._processes = processes
        self.metrics.registry.register(FiguresCollector(self.sizes, rules, processes, limit_bytes))

    async def start(self) -> None:
        """Start the store and the background tasks; the gate is ready when this returns, if the store is."""
        self.coalescer.start()
        await self._tick()
        s = self.settings
        self._tasks.every(TICK_SECONDS, "tick", self._tick)
        self._tasks.every(s.memory_sample_seconds, "memory", self._sample_memory)
        self._tasks.every(s.signature_cleanup_interval_seconds, "cleanup-signatures", self._clean_signatures)
        self._tasks.every(s.cleanup_interval_seconds, "cleanup", self._clean_others)
        self._tasks.every(STATS_LOG_SECONDS, "stats-log", self._log_stats)
        self._tasks.every(TOKEN_RELOAD_SECONDS, "token-reload", self.access.reload)
        self._tasks.measure_lag()

    async def stop(self) -> None:
        """Finish what was accepted, then stop everything; the embedded store last."""
        self.is_stopping = True
        await self.coalescer.close()
        await self._tasks.stop()
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
        return reasons

    async def _tick(self) -> None:
        if self._embedded is not None:
            await self._embedded.ensure_running()
        if self.session.is_up:
            await self.sizes.refresh()
        else:
            await self.session.probe(self.sizes.refresh)
        self.stats.log_crossings()

    async def _sample_memory(self) -> None:
        self._processes.read()
        await self.sizes.refresh_store()

    async def _clean_signatures(self) -> None:
        await self.cleanup.run(Trigger.PERIODIC, maps=SIGNATURES)

    async def _clean_others(self) -> None:
        await self.cleanup.run(Trigger.PERIODIC, maps=OTHER_MAPS)

    async def _log_stats(self) -> None:
        self.stats.log_stats()
