"""What is done while memory is near its limit, by the place that holds it, and how often.

Every process of the service gives back what is its own: garbage, free heap, idle connections. The store
is cleaned when it is near its own `maxmemory`, or when it is the embedded one, which counts against the
service's limit. Other gates may live on the same external store, and a smaller one would not make this gate
smaller: pressure of one gate never shortens what the others can look up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from app.errors import StoreError, StoreFull
from app.guard.actions import Actions
from app.guard.levels import Level, LevelBand
from app.guard.readers import Pressure, Process
from app.models import StoreFigures
from app.settings.model import Settings

log = structlog.get_logger()

HARD_AGAIN_SECONDS = 1.0
SOFT_AGAIN_SECONDS = 5.0
# Clients whose idle connections were closed connect again; not more often than this.
SHRINK_AGAIN_SECONDS = 10.0
# A relief that took 50 ms is not repeated within a second.
PAUSE_PER_SECOND_TAKEN = 20

Lease = Callable[[float], Awaitable[bool]]
"""Asks to be the one gate that cleans the store for so many seconds; False while another one is."""


async def granted(_: float) -> bool:
    """Grant a lease to a gate that has its store to itself."""
    return True


@dataclass
class ProcessRelief:
    """Has gate and workers give back what they hold without need, again and again while pressure lasts."""

    actions: Actions
    monotonic: Callable[[], float]
    _again_at: float = float("-inf")
    _shrink_at: float = float("-inf")

    async def relieve(self, level: Level, processes: Sequence[str], *, is_new: bool) -> bool:
        """Collect and trim in all; at `hard`, when that did not end it, close idle connections as well.

        Returns whether anything was done: at a new level at once, then each second at `hard`, each five at
        `soft`, and less often where it takes long.
        """
        began = self.monotonic()
        if level is Level.NORMAL or (not is_new and began < self._again_at):
            return False
        await asyncio.gather(*map(self.actions.collect_and_trim, processes))
        taken = self.monotonic() - began
        if level is Level.HARD and not is_new and began >= self._shrink_at:
            self._shrink_at = began + SHRINK_AGAIN_SECONDS
            await asyncio.gather(*map(self.actions.cut_back, processes))
        pause = HARD_AGAIN_SECONDS if level is Level.HARD else SOFT_AGAIN_SECONDS
        self._again_at = began + max(pause, PAUSE_PER_SECOND_TAKEN * taken)
        return True


@dataclass
class StoreRelief:
    """Has the store cleaned: the embedded one for the service's limit, any one for its own."""

    actions: Actions
    monotonic: Callable[[], float]
    lease: Lease = granted
    _cleaned_at: float = float("-inf")

    def __post_init__(self) -> None:
        self._own = LevelBand()

    async def relieve_service(
        self, pressure: Pressure, store: Process | None, level: Level, settings: Settings, *, is_new: bool
    ) -> bool:
        """Clean the embedded store where that can help; True when it was.

        At a new level, then each second at `hard` and each cleanup interval at `soft`. Where `hard` goes on,
        the oldest quarter is let go as well.
        """
        now = self.monotonic()
        again = HARD_AGAIN_SECONDS if level is Level.HARD else settings.cleanup_interval_seconds
        is_due = is_new or now - self._cleaned_at >= again
        if level is Level.NORMAL or not is_due or not self._can_help(pressure, store, settings):
            return False
        self._cleaned_at = now
        await self.actions.cut_back("store", shed=level is Level.HARD and not is_new)
        return True

    async def relieve_store(self, figures: StoreFigures | None, settings: Settings) -> None:
        """Clean a store while it is near its own limit, once a cleanup interval for all of its gates."""
        if figures is None or not figures.limit_bytes:
            self._own = LevelBand()
            return
        before, level = self._own.level, self._own.tick(figures.used_bytes, figures.limit_bytes, settings)
        if level is Level.HARD and before is not Level.HARD:
            bytes_ = {"used_bytes": figures.used_bytes, "limit_bytes": figures.limit_bytes}
            log.warning("store near its own limit", **bytes_)
        if level is Level.HARD and await self._may_clean(settings.cleanup_interval_seconds):
            await self.actions.cut_back("store")

    async def _may_clean(self, seconds: float) -> bool:
        now = self.monotonic()
        if now - self._cleaned_at < seconds:
            return False
        self._cleaned_at = now
        try:
            return await self.lease(seconds)
        except StoreFull:
            # A full store cannot note who cleans it. Of two gates that clean, the second finds nothing.
            return True
        except StoreError:
            return False

    def _can_help(self, pressure: Pressure, store: Process | None, settings: Settings) -> bool:
        """Whether the store is the service's own, and what else is held would leave room below `hard`."""
        if store is None or store.pid is None:
            return False
        rest = pressure.used_bytes - self.actions.resident_bytes("store")
        return rest < settings.memory_hard_exit_ratio * pressure.limit_bytes
