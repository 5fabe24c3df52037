"""What a gate and its workers do over and over, and how often."""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Protocol

from app.cleanup.run import Cleanup
from app.drills.drills import Drills
from app.guard.guard import Guard
from app.guard.idle_reclaim import LOOK_SECONDS, Reclaimer
from app.ingest.data_plane import DataPlane
from app.ingest.sampled_transactions import look_seconds
from app.models import MapName, Trigger
from app.observability.consumer_metrics import ConsumersCollector
from app.observability.stats import ServiceStats
from app.process.systemd import notify_alive, watchdog_seconds
from app.reports.recorder import SAMPLE_SECONDS, Recorder
from app.settings.model import Settings
from app.store.embedded_store import EmbeddedStore
from app.store.session import StoreSession
from app.store.store_errors import StoreDownForDrill
from app.tasks import Task

STORE_SECONDS = 0.1
TICK_SECONDS = 1.0
CEILING_SECONDS = 0.25
CONSUMERS_SECONDS = 5.0
DRILL_SECONDS = 0.25
STATS_LOG_SECONDS = 30.0
TOKEN_RELOAD_SECONDS = 5.0
FEEDS_RELOAD_SECONDS = 5.0
ASK_WORKERS_SECONDS = 1.0
SIGNATURES = frozenset({MapName.SIGNATURES})
OTHER_MAPS = frozenset(MapName) - SIGNATURES


class StoreUpkeep:
    """Keeps the store within reach, and what was read from it fresh.

    `refresh` reads what other gates changed. It is also what proves that a store serves which was down.
    While `is_drill` says so, the store is taken for down and not probed.
    """

    def __init__(
        self,
        session: StoreSession,
        refresh: Callable[[], Awaitable[object]],
        embedded: EmbeddedStore | None = None,
        is_drill: Callable[[], bool] = lambda: False,
    ) -> None:
        self._session, self._refresh, self._embedded = session, refresh, embedded
        self._is_drill = is_drill

    async def start(self) -> None:
        """Start the embedded store, where the gate has one.

        Raises:
            OSError, ConfigError: it cannot be started.
        """
        if self._embedded is not None:
            await self._embedded.ensure_running()

    async def keep(self) -> None:
        """Bring the store back soon after it went, or after it returned; costs nothing while it is there.

        Raises:
            StoreError: it is still down, so that the task counts as down with it.
        """
        await self.start()
        if self._is_drill():
            if self._session.is_up:
                raise self._session.failed(StoreDownForDrill())
        elif self._session.is_probe_due:
            await self._session.probe(self._refresh)
        self._session.ensure_up()

    async def tick(self) -> None:
        """Refresh what was read from the store, while it is up."""
        if self._session.is_up:
            await self._refresh()


def common_tasks(upkeep: StoreUpkeep, tick: Callable[[], Awaitable[object]], plane: DataPlane) -> list[Task]:
    """The tasks of a gate and of each of its workers."""
    return [
        Task("store", STORE_SECONDS, upkeep.keep),
        Task("tick", TICK_SECONDS, tick),
        Task("token-reload", TOKEN_RELOAD_SECONDS, plane.access.reload),
        Task("feeds-reload", FEEDS_RELOAD_SECONDS, plane.feeds.reload),
        Task("samples", lambda: look_seconds(plane.settings), plane.look_up_sample),
        Task("reclaim", LOOK_SECONDS, Reclaimer().tick),
    ]


class ScheduledParts(Protocol):
    """The parts of a gate that do something of themselves."""

    guard: Guard
    cleanup: Cleanup
    drills: Drills
    consumer_metrics: ConsumersCollector
    stats: ServiceStats
    recorder: Recorder

    @property
    def settings(self) -> Settings:
        """Return the settings in force; a changed period holds from the next turn."""

    async def sample_memory(self) -> None:
        """Read memory once, for all that need it."""


def gate_tasks(gate: ScheduledParts) -> Iterator[Task]:
    """Yield what only a gate does, beside the common tasks."""
    clean = partial(gate.cleanup.run, Trigger.PERIODIC)
    yield Task("memory", lambda: gate.settings.memory_sample_seconds, gate.sample_memory)
    yield Task("ceiling", CEILING_SECONDS, gate.guard.check_ceiling)
    yield Task(
        "cleanup-signatures",
        lambda: gate.settings.signature_cleanup_interval_seconds,
        partial(clean, maps=SIGNATURES),
    )
    yield Task("cleanup", lambda: gate.settings.cleanup_interval_seconds, partial(clean, maps=OTHER_MAPS))
    yield Task("consumers", CONSUMERS_SECONDS, gate.consumer_metrics.refresh)
    yield Task("stats-log", STATS_LOG_SECONDS, gate.stats.log_stats)
    yield Task("drill", DRILL_SECONDS, gate.drills.tick)
    yield Task("reports", SAMPLE_SECONDS, gate.recorder.record)
    if (within := watchdog_seconds()) is not None:
        yield Task("watchdog", within / 2, notify_alive)
