"""Brings concurrent requests together into few flushes; knows of timing, not of the store.

While one flush runs the next one gathers, so the flush grows with the load and nobody waits for a timer.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from app.errors import HttpError, Overloaded, ShuttingDown
from app.models import Answer, Transaction

FLUSH_MAX_BYTES = 512 * 1024
CONCURRENT_FLUSHES = 2

Outcome = Answer | HttpError
Flush = Callable[[list[Transaction]], Awaitable[list[Answer]]]


@dataclass(slots=True)
class _Pending:
    items: Sequence[Transaction]
    size: int
    answers: asyncio.Future[list[Answer]]


class Coalescer:
    """A bounded queue of transactions, flushed by a few workers."""

    def __init__(self, flush: Flush, flush_max_items: int, max_items: int, max_bytes: int) -> None:
        self._flush = flush
        self.flush_max_items = flush_max_items
        self._max_items, self._max_bytes = max_items, max_bytes
        self._queue: deque[_Pending] = deque()
        self._wake = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []
        self._closing = False
        self.items = 0
        self.bytes = 0

    def start(self) -> None:
        """Start the workers."""
        self._workers = [
            asyncio.create_task(self._work(), name=f"flush-{n}") for n in range(CONCURRENT_FLUSHES)
        ]

    async def submit(self, items: Sequence[Transaction]) -> list[Outcome]:
        """Queue transactions and wait for what becomes of each, in order: an answer, or why its flush failed.

        Should the caller be cancelled, its transactions are still processed; nobody else is disturbed.

        Raises:
            Overloaded: the queue is full; none of these was queued.
            ShuttingDown: the service is stopping.
        """
        size = sum(len(item.payload) for item in items)
        self._admit(len(items), size)
        parts = _cut(items, self.flush_max_items)
        waiting = [self._enqueue(part) for part in parts]
        self._wake.set()
        return _joined(parts, await asyncio.gather(*waiting, return_exceptions=True))

    async def close(self) -> None:
        """Flush what is queued, then stop."""
        self._closing = True
        self._wake.set()
        await asyncio.gather(*self._workers)

    def _admit(self, count: int, size: int) -> None:
        if self._closing:
            raise ShuttingDown("the gate is stopping; send this again to another one, or in a moment")
        if self.items + count > self._max_items or self.bytes + size > self._max_bytes:
            raise Overloaded(
                f"{self.items} transactions with {self.bytes} bytes are waiting for the store already"
            )
        self.items += count
        self.bytes += size

    def _enqueue(self, items: Sequence[Transaction]) -> asyncio.Future[list[Answer]]:
        answers = asyncio.get_running_loop().create_future()
        self._queue.append(_Pending(items, sum(len(item.payload) for item in items), answers))
        return answers

    async def _work(self) -> None:
        while True:
            batch = self._take()
            if batch:
                await self._run(batch)
            elif self._closing:
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    def _take(self) -> list[_Pending]:
        batch: list[_Pending] = []
        room_items, room_bytes = self.flush_max_items, FLUSH_MAX_BYTES
        while self._queue:
            first = self._queue[0]
            if batch and (len(first.items) > room_items or first.size > room_bytes):
                break
            batch.append(self._queue.popleft())
            room_items -= len(first.items)
            room_bytes -= first.size
        return batch

    async def _run(self, batch: list[_Pending]) -> None:
        items = [item for pending in batch for item in pending.items]
        try:
            answers = await self._flush(items)
        except Exception as error:  # noqa: BLE001  every waiter must hear of it, whatever it is
            for pending in batch:
                _resolve(pending.answers, error)
        else:
            at = 0
            for pending in batch:
                _resolve(pending.answers, answers[at : at + len(pending.items)])
                at += len(pending.items)
        finally:
            self.items -= len(items)
            self.bytes -= sum(pending.size for pending in batch)


def _resolve(future: asyncio.Future[list[Answer]], outcome: list[Answer] | Exception) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _joined(
    parts: Sequence[Sequence[Transaction]], results: Sequence[list[Answer] | BaseException]
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for part, result in zip(parts, results, strict=True):
        if isinstance(result, HttpError):
            outcomes += [type(result)(str(result))] * len(part)
        elif isinstance(result, BaseException):
            raise result
        else:
            outcomes += result
    return outcomes


def _cut(items: Sequence[Transaction], max_items: int) -> list[Sequence[Transaction]]:
    """Pieces of at most so many items, and of so many bytes unless a single one is larger."""
    parts, start, size = [], 0, 0
    for at, item in enumerate(items):
        size += len(item.payload)
        if at > start and (at - start >= max_items or size > FLUSH_MAX_BYTES):
            parts.append(items[start:at])
            start, size = at, len(item.payload)
    parts.append(items[start:])
    return [part for part in parts if part]
