"""A flush queue whose flushes wait until a test lets them go."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from app.decode.columns import Answers
from app.ingest.flush_queue import CONCURRENT_FLUSHES, MANY_REQUESTS, Chunk, Flush, FlushQueue, joined_answers
from app.models import ACCEPTED, Transaction
from tests.support.deliver import transaction


def all_accepted(clocks: list[int]) -> Answers:
    return Answers(clocks, [ACCEPTED] * len(clocks))


class Gatekeeper:
    """A flush that waits until it is let go, and remembers what it was given."""

    def __init__(self) -> None:
        self.flushes: list[list[str]] = []
        self.open = asyncio.Event()
        self.failure: Exception | None = None

    async def flush(self, items: Sequence[Transaction]) -> Answers:
        self.flushes.append([item.signature for item in items])
        await self.open.wait()
        if self.failure:
            raise self.failure
        return all_accepted([int(item.signature) for item in items])

    async def busy(self, workers: int = CONCURRENT_FLUSHES) -> None:
        """Wait until so many workers are in a flush, or have been."""
        async with asyncio.timeout(30):
            while len(self.flushes) < workers:
                await asyncio.sleep(0)


@asynccontextmanager
async def started_flush_queue(
    flush: Flush, items: int = 1000, size: int = 10**9, most: int = 100
) -> AsyncIterator[FlushQueue]:
    flush_queue = FlushQueue(flush, most, items, size)
    flush_queue.start()
    yield flush_queue
    await flush_queue.close()


def transactions(*numbers: int) -> list[Transaction]:
    return [transaction(str(number)) for number in numbers]


async def occupy(keeper: Gatekeeper, flush_queue: FlushQueue) -> list[asyncio.Task[list[Chunk]]]:
    """Keep every worker in a flush of one item."""
    tasks = []
    for number in range(CONCURRENT_FLUSHES):
        tasks.append(asyncio.create_task(flush_queue.submit(transactions(number))))
        await keeper.busy(number + 1)
    return tasks


async def flush_many(keeper: Gatekeeper, flush_queue: FlushQueue) -> list[asyncio.Task[list[Chunk]]]:
    """Keep one worker in a flush of as many requests as no small flush starts beside."""
    tasks = [asyncio.create_task(flush_queue.submit(transactions(number))) for number in range(MANY_REQUESTS)]
    await keeper.busy(1)
    return tasks


def times_of(chunks: list[Chunk]) -> list[int | None]:
    return [answer.first_seen_ms for answer in joined_answers(chunks)]
