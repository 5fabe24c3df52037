"""A task that all wait for who want the same at the same time, such as a connection that is being opened."""

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


def note_end(task: "asyncio.Task[Any]") -> None:
    """Look at how a task has ended: one that failed, and that nobody waits for any more, is logged else."""
    with suppress(asyncio.CancelledError):
        task.exception()
