"""How many calls of the store may be under way at once; those above it wait for their turn."""

import asyncio
from collections import deque

from app.errors import Overloaded

MOST_WAITING = 1_000


class Slots:
    """Holds a number of slots, one for each call; who finds none free waits in turn, up to a deadline.

    `asyncio.Semaphore` bounds neither how many wait nor how long. Here nothing is awaited for a free slot.
    """

    def __init__(self, count: int, deadline_seconds: float) -> None:
        self._free = count
        self._deadline_seconds = deadline_seconds
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_free(self) -> bool:
        """Take a slot if one is free, and say whether."""
        if self._free:
            self._free -= 1
            return True
        return False

    async def await_one(self) -> None:
        """Wait for a slot and take it.

        Raises:
            Overloaded: there was none in time, or MOST_WAITING wait already.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise Overloaded(f"{MOST_WAITING} calls wait for the store")
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.give_back()  # it was handed over just before the caller was cancelled, or too late
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise Overloaded("more calls wait for the store than it answers in time") from None
            raise

    def give_back(self) -> None:
        """Hand a slot to the first of those who wait, or, without one, let it be free."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # its caller was not cancelled
                turn.set_result(None)
                return
        self._free += 1
