"""Shares one rendering a second among all who look at the live page; while nobody looks, nothing is read."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from app.errors import HttpError, Overloaded
from app.process.shared_task import SharedTask
from app.web.page import Document, live_part, prepare

PERIOD_SECONDS: Final = 0.9
"""What is shown is then a second old at most when the next comes."""
MOST_VIEWERS: Final = 32
"""How many may look at once at one process."""
# A comment, which browsers pass over; the page says by itself that it has heard nothing.
_NOTHING: Final = b":\n\n"


class Viewers:
    """Knows how many look, and makes the event that all of them are sent next."""

    def __init__(self, read: Callable[[], Awaitable[Document]]) -> None:
        """Take what reads the figures, as `GET /page/figures` has them."""
        self._read = read
        self._event = SharedTask(self._make_event)
        self._due_seconds = 0.0
        self.count = 0
        """How many look now."""

    @contextmanager
    def take(self) -> Iterator[None]:
        """Take the place of a viewer for a while.

        Raises:
            Overloaded: there is none.
        """
        if self.count >= MOST_VIEWERS:
            raise Overloaded(f"{MOST_VIEWERS} look at the live page already")
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1

    def next_event(self) -> asyncio.Task[bytes]:
        """Return the task that makes the next event, which all who wait share; it begins for the first."""
        return self._event.begin()

    async def _make_event(self) -> bytes:
        await asyncio.sleep(self._due_seconds - time.monotonic())
        self._due_seconds = time.monotonic() + PERIOD_SECONDS
        try:
            figures = await self._read()
        except HttpError:
            return _NOTHING
        await prepare()
        return event_of(live_part(figures))


def event_of(text: str) -> bytes:
    """Return a server-sent event with this text as its data."""
    return "".join(f"data: {line}\n" for line in text.splitlines() if line.strip()).encode() + b"\n"
