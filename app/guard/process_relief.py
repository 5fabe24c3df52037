"""Frees memory of gate and workers while memory is near its limit, again and again while that lasts.

Freed is what they hold without need: garbage and free heap, at `hard` idle connections as well. What each
action does is in `actions`. Memory that is held without need while there is no pressure is given back by
`idle_reclaim`; what is done to the store under pressure is in `store_relief`.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.guard.actions import Actions
from app.guard.pressure_levels import HARD_AGAIN_SECONDS
from app.guard.status import Level

SOFT_AGAIN_SECONDS = 5.0
# Clients whose idle connections were closed connect again; not more often than this.
SHRINK_AGAIN_SECONDS = 10.0
# A relief that took 50 ms is not repeated within a second.
PAUSE_PER_SECOND_TAKEN = 20


@dataclass
class ProcessRelief:
    """Frees what gate and workers hold without need, again and again while pressure lasts."""

    actions: Actions
    monotonic: Callable[[], float]
    _again_at: float = float("-inf")
    _shrink_at: float = float("-inf")

    async def relieve(self, level: Level, processes: Sequence[str], *, is_new: bool) -> bool:
        """Collect and trim in all processes; while `hard` goes on, close idle connections as well.

        That is done at a new level at once, then each second at `hard`, each five at `soft`, and less often
        where it takes long. Returns whether anything was done now.
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
