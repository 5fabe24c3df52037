"""Flow control that knows since when it is the client's turn."""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl


class TimedFlow(FlowControl):
    """uvicorn's flow control of one connection; notes when the application last wanted more.

    It gets no more while `is_behind`, which says whether requests wait for their turn.
    """

    def __init__(
        self, transport: asyncio.Transport, clock: Callable[[], float], is_behind: Callable[[], bool]
    ) -> None:
        super().__init__(transport)
        self._clock = clock
        self._is_behind = is_behind
        self.resumed_at = 0.0
        """On the clock, seconds."""

    def resume_reading(self) -> None:
        """Called for every `receive` and after every response."""
        self.resumed_at = self._clock()
        if self.read_paused and not self._is_behind():
            super().resume_reading()
