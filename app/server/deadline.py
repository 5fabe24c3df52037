"""One timer for the deadlines of a connection."""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final

NEVER: Final = inf
# The loop's clock and its timers have a resolution of one millisecond.
CLOCK_SECONDS = 0.001


class Deadline:
    """Calls back once the time has come, unless that was moved.

    Deadlines move with every request, and a timer that is set anew each time would cost as much as reading
    the request. So a timer that is early enough is left alone, and looks again when it runs out.
    """

    __slots__ = ("_call", "_loop", "_timer", "_timer_at", "at")

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        self._loop = loop
        self._call: Callable[[], None] | None = call
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self.at = NEVER
        """On the loop's clock, seconds."""

    def set(self, at: float) -> None:
        """Move the deadline."""
        self.at = at
        if at < self._timer_at:
            self._arm(at)

    def stop(self) -> None:
        """Do not call back."""
        self.at = NEVER
        self._disarm()

    def end(self) -> None:
        """Never call back, and let go of whom."""
        self.stop()
        self._call = None

    def _arm(self, at: float) -> None:
        self._disarm()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._ring)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = NEVER

    def _ring(self) -> None:
        self._timer, self._timer_at = None, NEVER
        if self.at - self._loop.time() < CLOCK_SECONDS:
            self.at = NEVER
            if self._call is not None:
                self._call()
        elif self.at != NEVER:
            self._arm(self.at)
