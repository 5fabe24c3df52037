"""Whose turn it is, of connections with work left over: pipelined requests, and chunked bodies in parts.

A thousand connections that each have something left over would make a turn of the event loop last a second,
and an ordinary post takes several turns. So a turn goes on with a few of them, in the order they came.
Bodies that take long to judge take turns of their own (`app/decode/turns.py`).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

A_TURN: Final = 4


class Turns:
    """Shared by all connections of a process."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    def wait(self, loop: asyncio.AbstractEventLoop, go_on: Callable[[], None]) -> None:
        """Call back once, in a later turn of the loop."""
        if not self._waiting:
            loop.call_soon(self._go_on, loop)
        self._waiting.append(go_on)

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        due = [self._waiting.popleft() for _ in range(min(A_TURN, len(self._waiting)))]
        if self._waiting:
            loop.call_soon(self._go_on, loop)
        for go_on in due:  # each on its own, should one raise
            loop.call_soon(go_on)
