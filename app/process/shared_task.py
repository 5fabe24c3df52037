"""Tasks that all wait for who want the same at the same time, such as a connection that is being opened."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class SharedTask(Generic[Result]):
    """Does a piece of work, never twice at once.

    Five calls need a connection: the first begins to open one, and all five wait for it. Should one of them
    be cancelled, the opening goes on for the others, and for those that come later.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> None:
        self._work = work
        self._latest: asyncio.Task[Result] | None = None

    def begin(self) -> asyncio.Task[Result]:
        """Return the task that is under way; begin one if none is."""
        if self._latest is None or self._latest.done():
            self._latest = asyncio.create_task(self._work())
            self._latest.add_done_callback(note_end)
        return self._latest

    async def result(self) -> Result:
        """Wait for the task that is under way, or for a new one; raises what the work does."""
        return await asyncio.shield(self.begin())

    def cancel(self) -> None:
        """Cancel the task that is under way."""
        if self._latest is not None:
            self._latest.cancel()

    async def wait_ended(self) -> None:
        """Wait until no task is under way, however it ends."""
        if self._latest is not None:
            await asyncio.wait([self._latest])


class SharedNextTask(Generic[Result]):
    """Does a piece of work over and over, never twice at once, and always after somebody has asked for it.

    A hundred scrapes ask how a worker is. The first question is sent at once. What it is answered may be
    older than the other 99 scrapes, so one more question is sent after it, whose answer they share.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> None:
        self._work = work
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[Result] | None = None

    async def result(self) -> Result:
        """Wait for what is begun after the call; raises what the work does."""
        if self._next is None:
            self._next = asyncio.create_task(self._begin())
            self._next.add_done_callback(note_end)
        return await asyncio.shield(self._next)

    async def _begin(self) -> Result:
        async with self._one_at_a_time:
            self._next = None
            return await self._work()


def note_end(task: "asyncio.Task[Any]") -> None:
    """Look at how a task has ended: one that failed, and that nobody waits for any more, is logged else."""
    with suppress(asyncio.CancelledError):
        task.exception()
