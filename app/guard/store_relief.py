"""Has the store cleaned by an emergency cleanup while memory is near a limit, in two cases only.

- The embedded store counts against the service's limit, and cleaning it can bring memory below that.
- Any store is near its own `maxmemory`, which has a level of its own, and the maps hold a fair part of it.

Other gates may live on the same external store, and a smaller one would not make this gate smaller: pressure
of one gate never shortens what the others can look up. What the cleanup does is in `actions`; what gate and
workers free of their own is in `process_relief`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from app.errors import StoreError, StoreFull
from app.guard.actions import Actions
from app.guard.memory_reading import MemoryReading, Pressure, ProcessReading
from app.guard.pressure_levels import HARD_AGAIN_SECONDS, LevelBand
from app.guard.status import Level
from app.settings.model import Settings
from app.store.store_fill import StoreFill, limit_setting

log = structlog.get_logger()

Lock = Callable[[float], Awaitable[bool]]
"""Asks to be the one gate that cleans the store for so many seconds; False while another one is."""


async def granted(_: float) -> bool:
    """Grant a lock to a gate that has its store to itself."""
    return True


@dataclass
class StoreRelief:
    """Has the store cleaned: the embedded one for the service's limit, any store for its own `maxmemory`."""

    actions: Actions
    monotonic: Callable[[], float]
    lock: Lock = granted
    _cleaned_at: float = float("-inf")

    def __post_init__(self) -> None:
        self._own_limit = LevelBand()

    async def relieve_service(
        self,
        pressure: Pressure,
        store: ProcessReading | None,
        level: Level,
        settings: Settings,
        *,
        is_new: bool,
    ) -> bool:
        """Clean the embedded store for the service's limit, where that can help; returns whether it was.

        That is done at a new level, then each second at `hard` and each cleanup interval at `soft`. While
        `hard` goes on, the oldest quarter of transactions and observations is removed as well (shed).
        """
        now = self.monotonic()
        again = HARD_AGAIN_SECONDS if level is Level.HARD else settings.cleanup_interval_seconds
        is_due = is_new or now - self._cleaned_at >= again
        if level is Level.NORMAL or not is_due or not self._can_help(pressure, store, settings):
            return False
        self._cleaned_at = now
        await self.actions.cut_back("store", shed=level is Level.HARD and not is_new)
        return True

    async def relieve_store(self, reading: MemoryReading, settings: Settings) -> None:
        """Clean a store that is near its own `maxmemory`, once a cleanup interval for all of its gates.

        It is not cleaned where the maps hold so little of it that a cleanup would only cost.
        """
        figures, process = reading.store, reading.processes.get("store")
        if figures is None or not figures.limit_bytes:
            self._own_limit = LevelBand()
            return
        before = self._own_limit.level
        level = self._own_limit.tick(figures.used_bytes, figures.limit_bytes, settings)
        held = process.explained_bytes.get("maps", 0) if process else 0
        fill = StoreFill(figures.used_bytes, figures.limit_bytes, held, limit_setting(settings.store_url))
        if level is Level.HARD and before is not Level.HARD:
            log.warning(
                "store near its own limit",
                used_bytes=fill.used_bytes,
                limit_bytes=fill.limit_bytes,
                maps_bytes=held,
                advice=fill.sentence("near its limit"),
            )
        may_help = level is Level.HARD and fill.cleanup_helps
        if may_help and await self._may_clean(settings.cleanup_interval_seconds):
            await self.actions.cut_back("store")

    async def _may_clean(self, seconds: float) -> bool:
        now = self.monotonic()
        if now - self._cleaned_at < seconds:
            return False
        self._cleaned_at = now
        try:
            return await self.lock(seconds)
        except StoreFull:
            # A full store cannot note who cleans it. Of two gates that clean, the second finds nothing.
            return True
        except StoreError:
            return False

    def _can_help(self, pressure: Pressure, store: ProcessReading | None, settings: Settings) -> bool:
        """Whether the store is the service's own, and what else is held would leave room below `hard`."""
        if store is None or store.pid is None:
            return False
        rest = pressure.used_bytes - self.actions.resident_bytes("store")
        return rest < settings.memory_hard_exit_ratio * pressure.limit_bytes
