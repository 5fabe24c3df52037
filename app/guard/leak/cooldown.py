"""How often one may act on the leaks of a process: after each action a pause, and never a fourth in a row.

The first pause takes `leak_cooldown_seconds`, 10 minutes by default, the second twice as long, the third four
times. Actions no longer count as in a row when an hour passed after a pause without a leak: they have helped.
"""

from collections.abc import Callable
from math import inf

from app.settings.model import Settings

ACTIONS_IN_A_ROW = 3
FORGIVEN_SECONDS = 3600.0


class Cooldown:
    """The actions in a row for one process, and the pause after the last; times are those of the readings."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self.actions_in_a_row = 0
        self.ends: float | None = None
        """When the pause ends; None when there is none."""
        self._forgiven_at = inf

    @property
    def allows_action(self) -> bool:
        """Tell whether one more action may follow those in a row."""
        return self.actions_in_a_row < ACTIONS_IN_A_ROW

    def begin(self, at_seconds: float, window_seconds: float) -> float:
        """Count an action, and begin the pause after it, whose length in seconds is returned.

        Whether it has helped shows after two of the windows that found the leak, or after an hour.
        """
        seconds = self._settings().leak_cooldown_seconds * 2.0**self.actions_in_a_row
        self.actions_in_a_row += 1
        self.ends = at_seconds + seconds
        self._forgiven_at = self.ends + max(FORGIVEN_SECONDS, 2 * window_seconds)
        return seconds

    def is_over(self, at_seconds: float) -> bool:
        """Tell whether the pause has ended."""
        return self.ends is None or at_seconds >= self.ends

    def end(self) -> None:
        """End the pause; its action still counts."""
        self.ends = None

    def forgive(self, at_seconds: float) -> None:
        """Forget the actions once they are known to have helped; to be called only while there is no leak."""
        if at_seconds > self._forgiven_at:
            self.reset()

    def reset(self) -> None:
        """Forget the actions and the pause."""
        self.actions_in_a_row, self.ends, self._forgiven_at = 0, None, inf
