"""What other parts of the gate take for true while a drill is on: they ask here with each use.

Each effect ends by the clock, not because somebody ends it. So a drill is over in time also when the task
that looks after it, or the operator's terminal, is gone.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from app.drills.kinds import DrillKind


@dataclass
class DrillEffects:
    """The drill that is on, if one is, and until when, in seconds of `clock`; written by `Drills` alone."""

    clock: Callable[[], float] = time.monotonic
    kind: DrillKind | None = None
    ends_seconds: float = -inf
    share: float = 0.0
    """The share of the memory limit that a drill `pressure` says is in use."""

    def memory_share(self) -> float:
        """The least share of the memory limit that counts as used; 0 without a drill on it."""
        return self.share if self._is_on(DrillKind.PRESSURE) else 0.0

    def no_store(self) -> bool:
        """Whether the store is to be taken for unreachable."""
        return self._is_on(DrillKind.STORE_DOWN)

    def leaks(self) -> bool:
        """Whether a leak of the gate's process is the drill's."""
        return self._is_on(DrillKind.LEAK)

    def clear(self) -> None:
        """End what is on."""
        self.kind, self.ends_seconds = None, -inf

    def _is_on(self, kind: DrillKind) -> bool:
        return self.kind is kind and self.clock() < self.ends_seconds
