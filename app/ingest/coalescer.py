"""Brings the transactions of concurrent requests together in flushes, and decides when each flush starts.

Two flushes run at a time. Say 40 posts of one transaction each arrive while both run: they wait in a queue,
and go together with the next flush, which starts when one of the two ends. Nobody waits for a timer. A flush
grows with the load: up to 1,500 transactions, or fewer where a map's limit is small (`flush_max_items` in
app/store/layout.py), or 1 MiB of payloads. Few transactions are not worth a call of the store: while a flush
of 16 or more runs and fewer than 16 wait, they wait for its end.

A request of 5,000 transactions is cut into chunks, and no two go in the same flush (unless `flush_max_items`
is raised meanwhile). Other requests may fill up the flush of a chunk. One limit on transactions and one on
bytes of payloads count what waits and what is being flushed; a request that would pass one is refused whole.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import structlog

from app.decode.columns import Answers, Columns
from app.errors import HttpError, Overloaded, ShuttingDown
from app.models import Transaction

log = structlog.get_logger()

FLUSH_MAX_BYTES = 1024 * 1024
CONCURRENT_FLUSHES = 2
SMALL_FLUSH = 16

Flush = Callable[[Sequence[Transaction]], Awaitable[Answers]]
# Called with the answers of the whole flush, or its error, and the index in it of the caller's first item.
OnDone = Callable[[Answers | Exception, int], None]


class Chunk(NamedTuple):
    """Transactions of one request that went into one flush, with their answers, or why the flush failed."""

    items: Sequence[Transaction]
    outcome: Answers | HttpError


def joined_answers(parts: Sequence[Chunk]) -> Answers:
    """Return the answers of all chunks together; none of them may have failed."""
    answers = [part.outcome for part in parts if isinstance(part.outcome, Answers)]
    if len(answers) == 1:
        return answers[0]
    return Answers(
        [clock for part in answers for clock in part.clocks],
        [code for part in answers for code in part.codes],
    )


@dataclass(slots=True)
class _Pending:
    items: Sequence[Transaction]
    size: int  # bytes of payloads
    on_done: OnDone


class Coalescer:
    """Holds transactions that wait or are being flushed, within limits; two tasks flush them."""

    def __init__(self, flush: Flush, flush_max_items: int, max_items: int, max_bytes: int) -> None:
        self._flush = flush
        self.flush_max_items = flush_max_items
        self._max_items, self._max_bytes = max_items, max_bytes
        self._queue: deque[_Pending] = deque()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._in_flight = 0  # transactions that are being flushed
        # Transactions, and bytes of their payloads, that wait or are being flushed.
        self.items = self.bytes = 0

    def start(self) -> None:
        """Start the two tasks."""
        self._tasks = [
            asyncio.create_task(self._work(), name=f"flush-{n}") for n in range(CONCURRENT_FLUSHES)
        ]

    async def submit(self, items: Sequence[Transaction]) -> list[Chunk]:
        """Queue transactions, wait until all are flushed, and return their chunks in the order of `items`.

        Should the caller be cancelled, its transactions are still processed; nobody else is disturbed.

        Raises:
            Overloaded: with these a limit would be passed; none of them was queued.
            ShuttingDown: the service is stopping.
            Exception: a flush failed with another error. An `HttpError` is the outcome of its chunk instead.
        """
        items = Columns.of(items)
        sizes = list(map(len, items.payloads))
        size = sum(sizes)
        self._reserve(len(items), size)
        if len(items) <= self.flush_max_items and size <= FLUSH_MAX_BYTES:
            waiting = [(items, self._enqueue(items, size))]
        else:
            cuts = _cut(sizes, self.flush_max_items)
            waiting = [(items[cut], self._enqueue(items[cut], sum(sizes[cut]))) for cut in cuts]
        self._wake.set()
        if len(waiting) > 1:
            await asyncio.gather(*(answers for _, answers in waiting), return_exceptions=True)
        return [await _part(items, answers) for items, answers in waiting]

    def submit_one(self, item: Transaction, on_done: OnDone) -> None:
        """Queue a transaction for a caller that does not wait: `on_done` is called later, and must not raise.

        Raises:
            Overloaded: with it a limit would be passed; `on_done` is not called.
            ShuttingDown: the service is stopping; `on_done` is not called.
        """
        size = len(item.payload)
        self._reserve(1, size)
        self._queue.append(_Pending((item,), size, on_done))
        self._wake.set()

    def resize(self, max_items: int, max_bytes: int) -> None:
        """Change the limits for later requests. The size of a flush is `flush_max_items`, set directly."""
        self._max_items, self._max_bytes = max_items, max_bytes

    async def close(self) -> None:
        """Flush what is queued, then stop."""
        self._closing = True
        self._wake.set()
        await asyncio.gather(*self._tasks)

    def _reserve(self, count: int, size: int) -> None:
        if self._closing:
            raise ShuttingDown("the gate is stopping; send this again to another one, or in a moment")
        if self.items + count > self._max_items or self.bytes + size > self._max_bytes:
            raise Overloaded(
                f"{self.items} transactions with {self.bytes} bytes are waiting for the store or being stored"
            )
        self.items += count
        self.bytes += size

    def _enqueue(self, items: Sequence[Transaction], size: int) -> asyncio.Future[Answers]:
        answers: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        self._queue.append(_Pending(items, size, partial(_resolve, answers, len(items))))
        return answers

    async def _work(self) -> None:
        while True:
            taken = self._take()
            if taken:
                await self._run(taken)
            elif self._closing:
                return  # the other task may still flush; it takes what is left when it is done
            else:
                self._wake.clear()
                await self._wake.wait()

    def _take(self) -> list[_Pending]:
        taken: list[_Pending] = []
        if self._in_flight >= SMALL_FLUSH > self.items - self._in_flight:
            return taken  # a flush of 16 or more runs and fewer than 16 wait: they go with the next one
        room_items, room_bytes = self.flush_max_items, FLUSH_MAX_BYTES
        while self._queue:
            first = self._queue[0]
            # The first goes whatever its size. Order is kept: one that does not fit holds up those behind it.
            if taken and (len(first.items) > room_items or first.size > room_bytes):
                break
            taken.append(self._queue.popleft())
            room_items -= len(first.items)
            room_bytes -= first.size
        return taken

    async def _run(self, taken: list[_Pending]) -> None:
        items = Columns.joined([pending.items for pending in taken])
        self._in_flight += len(items)
        try:
            answers = await self._flush(items)
        except Exception as error:  # noqa: BLE001  every waiter must hear of it, whatever it is
            _pass_on(taken, error)
        else:
            _pass_on(taken, answers)
        finally:
            self._in_flight -= len(items)
            self.items -= len(items)
            self.bytes -= sum(pending.size for pending in taken)


def _pass_on(taken: Sequence[_Pending], outcome: Answers | Exception) -> None:
    at = 0
    for pending in taken:
        try:
            pending.on_done(outcome, at)
        except Exception:
            log.exception("answer not passed on", transactions=len(pending.items))
        at += len(pending.items)


async def _part(items: Sequence[Transaction], answers: asyncio.Future[Answers]) -> Chunk:
    try:
        return Chunk(items, await answers)
    except HttpError as error:
        return Chunk(items, error)


def _resolve(future: asyncio.Future[Answers], count: int, outcome: Answers | Exception, at: int) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome.part(at, at + count))


def _cut(sizes: Sequence[int], max_items: int) -> list[slice]:
    """Cut into pieces of at most `max_items` items and 1 MiB; a single larger item is a piece of its own."""
    parts, start, total = [], 0, 0
    for at, size in enumerate(sizes):
        total += size
        if at > start and (at - start >= max_items or total > FLUSH_MAX_BYTES):
            parts.append(slice(start, at))
            start, total = at, size
    parts.append(slice(start, len(sizes)))
    return parts
