"""Feeds that go on posting while the gates before them are replaced.

Each transaction is posted by two feeds, at different gates, and once more a while later. A feed whose gate
was told to stop goes on at the gate that took its place, with what it had no answer to.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from tests.support.gate import GateProcess
from tests.support.history import Attempt, History, Item
from tests.support.load import transaction
from tests.support.wire import Connection, NoAnswerError, close_all

BATCH_ITEMS = 100
BATCHES_A_SECOND = 20
POSTS_AT_ONCE = 32  # of a feed; those that are due beyond them wait
AGAIN_BATCHES = 30  # so much later a batch is posted again


@dataclass
class Feeds(History):
    """Two feeds with the same transactions, each before a gate of its own."""

    gates: list[GateProcess]
    name: str = "upgrade"
    failures: list[str] = field(default_factory=list)
    """The gate of each post that was not answered 200 although its gate had not been told to stop."""
    stopping: set[str] = field(default_factory=set)
    posted: list[list[Item]] = field(default_factory=list)
    due: int = 0
    """How many batches the schedule had when it ended."""
    completed: int = 0
    """How many transactions were answered in the end, each as often as it was posted by the schedule."""
    _numbers: Iterator[int] = field(default_factory=count)
    _idle: Mapping[str, list[Connection]] = field(default_factory=lambda: defaultdict(list))
    _slots: Mapping[int, asyncio.Semaphore] = field(
        default_factory=lambda: defaultdict(lambda: asyncio.Semaphore(POSTS_AT_ONCE))
    )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Post by the schedule until the block ends, then wait for the last answers."""
        stop = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pace(stop, tasks))
                try:
                    yield
                finally:
                    stop.set()
        finally:
            await close_all(connection for idle in self._idle.values() for connection in idle)

    def refusals(self) -> list[Attempt]:
        """Posts that a gate has answered otherwise than 200, whether it had been told to stop or not."""
        return [attempt for attempt in self.unanswered() if attempt.reply is not None]

    async def replace(self, feed: int, gate: GateProcess) -> None:
        """Stop the gate of a feed while it posts there, and let the feed go on at another one."""
        old = self.gates[feed]
        self.stopping.add(old.url)
        stopped = asyncio.create_task(asyncio.to_thread(old.terminate))
        self.gates[feed] = gate
        assert await stopped == 0

    async def _pace(self, stop: asyncio.Event, tasks: asyncio.TaskGroup) -> None:
        begun = time.monotonic()
        while not stop.is_set():
            self._begin_next(tasks)
            await asyncio.sleep(max(0.0, begun + len(self.posted) / BATCHES_A_SECOND - time.monotonic()))
        self.due = int((time.monotonic() - begun) * BATCHES_A_SECOND)
        while len(self.posted) < self.due:  # what a busy machine is behind with
            self._begin_next(tasks)

    def _begin_next(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to post the next batch at each gate, and an earlier one again at one of them."""
        batch = [transaction(f"{self.name}-{next(self._numbers)}") for _ in range(BATCH_ITEMS)]
        self.posted.append(batch)
        for feed in range(len(self.gates)):
            tasks.create_task(self._deliver(feed, batch))
        if len(self.posted) > AGAIN_BATCHES:
            again = self.posted[-AGAIN_BATCHES]
            tasks.create_task(self._deliver(len(self.posted) % len(self.gates), again))

    async def _deliver(self, feed: int, batch: list[Item]) -> None:
        """Post a batch at the gate of a feed until it is answered 200."""
        async with self._slots[feed]:
            while not await self._is_answered(url := self.gates[feed].url, batch):
                if url not in self.stopping:
                    self.failures.append(url)
                    return
            self.completed += len(batch)

    async def _is_answered(self, url: str, batch: list[Item]) -> bool:
        idle = self._idle[url]
        try:
            connection = idle.pop() if idle else await Connection.open(url)
            attempt = await self.post(url, connection, batch)
        except NoAnswerError:
            return False
        idle.append(connection)
        return attempt.is_processed
