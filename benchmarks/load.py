"""A constant load: three feeds that deliver the same batches, each over a connection of its own.

Which feed is first changes with every batch; the two others follow some milliseconds later, within the dedup
window, so two thirds of what is delivered are duplicates.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.support.payloads import Payloads, body_of
from tests.support.wire import Connection, NoAnswerError, Reply, connected, request_bytes

FEEDS = ("helius-a", "quicknode-b", "grpc-c")
BEHIND_SECONDS = (0.0, 0.03, 0.12)
BATCH_ITEMS = 100
# Of one feed; past it the gate cannot keep up, and the load says so by its rate.
QUEUED_BATCHES = 100


@dataclass
class Tally:
    """What was answered: items by verdict, requests by status."""

    items: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    unsent_batches: int = 0

    def count(self, reply: Reply) -> None:
        """Take an answer."""
        self.statuses[reply.status] += 1
        if reply.status == 200:  # noqa: PLR2004  the status is plainer than a name for it
            summary = json.loads(reply.body)
            for verdict in ("accepted", "duplicate", "invalid"):
                self.items[verdict] += summary[verdict]


class Feed:
    """Delivers what is given to it, in order, as soon as it is due."""

    def __init__(self, url: str, source: str, tally: Tally) -> None:
        self._url, self._tally = url, tally
        self._path = f"/transactions?source={source}"
        self._queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUED_BATCHES)

    def give(self, due: float, body: bytes) -> None:
        """Deliver a body at a time of `time.monotonic`."""
        try:
            self._queue.put_nowait((due, body))
        except asyncio.QueueFull:
            self._tally.unsent_batches += 1

    async def run(self) -> None:
        """Deliver until cancelled, over a new connection when one ends."""
        while True:
            try:
                async with connected(self._url, 1) as [connection]:
                    await self._deliver(connection)
            except (NoAnswerError, TimeoutError):
                self._tally.statuses[0] += 1
                await asyncio.sleep(1)

    async def _deliver(self, connection: Connection) -> None:
        while True:
            due, body = await self._queue.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._tally.count(await connection.ask(request_bytes("POST", self._path, body)))


@asynccontextmanager
async def load(url: str, accepted_per_second: float, seed: int = 1) -> AsyncIterator[Tally]:
    """Run the three feeds while the block runs."""
    tally = Tally()
    feeds = [Feed(url, source, tally) for source in FEEDS]
    tasks = [asyncio.create_task(feed.run()) for feed in feeds]
    tasks.append(asyncio.create_task(_produce(feeds, accepted_per_second, seed)))
    try:
        yield tally
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    failed = [end for end in ended if isinstance(end, Exception)]
    if failed:
        raise failed[0]


async def _produce(feeds: list[Feed], accepted_per_second: float, seed: int) -> None:
    payloads, order = Payloads(seed), random.Random(seed)
    period, started, number = BATCH_ITEMS / accepted_per_second, time.monotonic(), 0
    while True:
        due = started + number * period
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        body = body_of(payloads.items(BATCH_ITEMS))
        for feed, behind in zip(order.sample(feeds, len(feeds)), BEHIND_SECONDS, strict=True):
            feed.give(max(due, time.monotonic()) + behind, body)
        number += 1
