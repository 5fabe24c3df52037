"""Lets readers work one after another, and lets ingest go first.

What readers need of the event loop (blocks decoded and rendered, pieces put together and written) is done in
steps of a millisecond or two, one in a turn of the loop. While ingest has something under way, a step is
followed by a pause of seven times its length, or until ingest has had nothing under way for two milliseconds:
feeds send the next batch when the last was answered. So a hundred readers that catch up take an eighth of the
time that ingest is busy, and all of the rest.

    ingest is storing a batch    step 0.4 ms, pause 2.8 ms, step 0.3 ms, pause 2.1 ms, …
    ingest has nothing to do     step, step, step, …

A thousand readers that wait for the same news are woken in the same way, each when it has its step: to wake
all of them at once would take the loop twenty milliseconds. Answers with leases have a queue of their own,
and every other step: behind a thousand streams each of their twenty steps would wait for a thousand others.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final, TypeVar

from app.consumers.waiter import Waiter

# Beside a consumer that wants all of it, full ingest keeps 7/8 of its rate, less what the store has to do.
PAUSE_SHARE: Final = 7.0
CALM_SECONDS: Final = 0.002
# A lease of 500 transactions that were posted one by one has 500 blocks, 10 µs each: not a step for each.
STEP_SECONDS: Final = 0.0005
# The loop's timers have a resolution of a millisecond.
_LOOK_SECONDS = 0.001
# What it takes to write a byte to a client, or to take one from the store, outside of a step.
_BYTE_SECONDS = 1e-9

Thing = TypeVar("Thing")


class Pace:
    """Gives steps to readers, in the order in which they ask."""

    def __init__(self, is_ingest_busy: Callable[[], bool]) -> None:
        self._is_ingest_busy = is_ingest_busy
        self._streams, self._answers = deque[Waiter](), deque[Waiter]()
        self._queues = deque([self._streams, self._answers])  # the first had the last step
        self._is_scheduled = False
        self._next = self._calm = 0.0

    def ask(self, waiter: Waiter) -> None:
        """Wake a waiter when it may do a step; it does it at once, without waiting for anything."""
        self._ask(waiter, self._streams)

    async def turn(self, *, of_answer: bool = False) -> None:
        """Wait until the caller may do a step."""
        waiter = Waiter()
        self._ask(waiter, self._answers if of_answer else self._streams)
        await waiter.wait()

    async def in_steps(self, things: Iterable[Thing]) -> AsyncIterator[Thing]:
        """Hand out what an answer is made of, in one step as many as its time is enough for.

        The caller waits for nothing while it has one.
        """
        await self.turn(of_answer=True)
        begun = time.perf_counter()
        for thing in things:
            if time.perf_counter() - begun >= STEP_SECONDS:
                self.spent(begun, 0)
                await self.turn(of_answer=True)
                begun = time.perf_counter()
            yield thing
        self.spent(begun, 0)

    def spent(self, begun: float, moved_bytes: int) -> None:
        """Note a step that was begun at this moment of `time.perf_counter`, and what is read or written."""
        now = time.perf_counter()
        self._next = now + PAUSE_SHARE * (now - begun + _BYTE_SECONDS * moved_bytes)

    def _ask(self, waiter: Waiter, queue: deque[Waiter]) -> None:
        queue.append(waiter)
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._give)

    def _give(self) -> None:
        """Give one step, which is done before this is called again."""
        loop = asyncio.get_running_loop()
        now = time.perf_counter()
        if self._is_ingest_busy():
            self._calm = now + CALM_SECONDS
        if now < min(self._next, self._calm):
            loop.call_later(_LOOK_SECONDS, self._give)
            return
        self._wake_next()
        self._is_scheduled = any(self._queues)
        if self._is_scheduled:
            loop.call_soon(self._give)

    def _wake_next(self) -> None:
        """Wake the next of the queue whose turn it is, or of the other if nobody waits there any more."""
        for _ in self._queues.copy():
            self._queues.rotate()
            while self._queues[0]:
                if self._queues[0].popleft().wake():
                    return
