"""What a gate does over and over, and how often."""

from contextlib import suppress
from copy import copy
from dataclasses import dataclass

from app.auth import Access
from app.cleanup.run import Cleanup
from app.errors import StoreError
from app.guard.diagnosis.examiner import Examiner
from app.guard.guard import Guard
from app.guard.reclaim import LOOK_SECONDS, Reclaimer
from app.models import MapName, Trigger
from app.observability.stats import StatsBoard
from app.reports.recorder import SAMPLE_SECONDS, Recorder
from app.runtime_settings.sync import SettingsKeeper
from app.store.embedded import EmbeddedStore
from app.store.figures import Sizes
from app.store.live_settings import LiveSettings
from app.store.session import StoreSession
from app.tasks import Tasks

STORE_SECONDS = 0.1
TICK_SECONDS = 1.0
CEILING_SECONDS = 0.25
STATS_LOG_SECONDS = 30.0
TOKEN_RELOAD_SECONDS = 5.0

SIGNATURES = frozenset({MapName.SIGNATURES})
OTHER_MAPS = frozenset(MapName) - SIGNATURES


@dataclass(frozen=True)
class Rounds:
    """The background rounds, each with the parts it calls."""

    tasks: Tasks
    embedded: EmbeddedStore | None
    session: StoreSession
    live: LiveSettings
    sizes: Sizes
    keeper: SettingsKeeper
    cleanup: Cleanup
    guard: Guard
    examiner: Examiner
    recorder: Recorder
    stats: StatsBoard
    access: Access

    async def start(self) -> None:
        """One round of what has to be known before traffic is taken, then all of them by the clock.

        Raises:
            OSError, ConfigError: the embedded store cannot be started.
        """
        if self.embedded is not None:
            await self.embedded.ensure_running()
        await self.tasks.once("store", self._keep_store)
        await self.tasks.once("memory", self._sample_memory)
        every = self.tasks.every
        every(STORE_SECONDS, "store", self._keep_store)
        every(TICK_SECONDS, "tick", self._tick)
        every(lambda: self.live.settings.memory_sample_seconds, "memory", self._sample_memory)
        every(CEILING_SECONDS, "ceiling", self.guard.check_ceiling)
        every(LOOK_SECONDS, "reclaim", Reclaimer().tick)
        every(
            lambda: self.live.settings.signature_cleanup_interval_seconds,
            "cleanup-signatures",
            self._clean_signatures,
        )
        every(lambda: self.live.settings.cleanup_interval_seconds, "cleanup", self._clean_others)
        every(STATS_LOG_SECONDS, "stats-log", self._log_stats)
        every(SAMPLE_SECONDS, "reports", self.recorder.record)
        every(TOKEN_RELOAD_SECONDS, "token-reload", self.access.reload)
        self.tasks.measure_lag()

    async def stop(self) -> None:
        """Let what runs come to its end."""
        await self.tasks.stop()

    async def _keep_store(self) -> None:
        """Bring the store back soon after it went, or after it returned; costs nothing while it is there.

        Raises:
            StoreError: it is still down, so that the task counts as down with it.
        """
        if self.embedded is not None:
            await self.embedded.ensure_running()
        if self.session.is_probe_due:
            await self.session.probe(self._refresh)
        if self.session.down_reason is not None:
            raise copy(self.session.down_reason)

    async def _tick(self) -> None:
        if self.session.is_up:
            await self._refresh()
        self.stats.log_crossings()

    async def _refresh(self) -> None:
        await self.sizes.refresh()
        await self.keeper.follow()
        self.recorder.note_peaks()

    async def _sample_memory(self) -> None:
        if self.session.is_up:
            with suppress(StoreError):
                await self.sizes.refresh_store()
        reading = self.guard.read_memory()
        await self.examiner.note(reading, is_warm=self.guard.is_warm)
        await self.guard.tick(reading)

    async def _clean_signatures(self) -> None:
        await self.cleanup.run(Trigger.PERIODIC, maps=SIGNATURES)

    async def _clean_others(self) -> None:
        await self.cleanup.run(Trigger.PERIODIC, maps=OTHER_MAPS)

    async def _log_stats(self) -> None:
        self.stats.log_stats()
