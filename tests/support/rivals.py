"""Feeds that deliver the same transactions to several gates."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from tests.support.history import History, Item
from tests.support.load import transaction
from tests.support.wire import Connection, connected

BATCH_ITEMS = 10
AGAIN_ITEMS = 3
REMEMBERED = 500  # transactions that were answered lately, of which some are posted again
CONNECTIONS_A_GATE = 3
PAUSE_SECONDS = 0.01


@dataclass
class Rivals(History):
    """Feeds that deliver the same transactions to several gates at about the same time, and some again.

    What a gate refuses is posted again, as it was, until it is answered.
    """

    name: str
    urls: Sequence[str]
    _recent: deque[Item] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Post until the block ends, then until all that was begun is answered; no connection may break."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for url in self.urls:
                numbers = count()
                for _ in range(CONNECTIONS_A_GATE):
                    tasks.create_task(self._work(url, numbers, stop))
            try:
                yield
            finally:
                stop.set()

    def refusals(self) -> list[str]:
        """What refused requests were told, each."""
        return [str(attempt.reply.json()["detail"]) for attempt in self.unanswered() if attempt.reply]

    async def _work(self, url: str, numbers: Iterator[int], stop: asyncio.Event) -> None:
        draw = random.Random(f"{self.name} {url}")
        async with connected(url, 1) as [connection]:
            while not stop.is_set():
                items = self._items(next(numbers), draw)
                while not await self._is_answered(url, connection, items):
                    await asyncio.sleep(PAUSE_SECONDS)
                await asyncio.sleep(PAUSE_SECONDS)

    def _items(self, number: int, draw: random.Random) -> list[Item]:
        """Fresh ones, and some of those that were answered lately; none of them twice."""
        fresh = [
            transaction(f"{self.name}-{number}-{at}") for at in range(1 if number % 4 == 0 else BATCH_ITEMS)
        ]
        again = draw.sample(self._recent, min(AGAIN_ITEMS, len(self._recent)))
        return list({str(item["signature"]): item for item in fresh + again}.values())

    async def _is_answered(self, url: str, connection: Connection, items: list[Item]) -> bool:
        attempt = await self.post(url, connection, items)
        if attempt.is_processed:
            self._recent.extend(items)
        return attempt.is_processed
