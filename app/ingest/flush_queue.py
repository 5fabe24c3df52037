"""Brings the transactions of concurrent requests together in flushes, and decides when each flush starts.

Two flushes run at a time. Say 40 posts of one transaction each arrive while both run: they wait in a queue,
and go together with the next flush, which starts when one of the two ends. Nobody waits for a timer. So a
flush grows with the load: up to 1,500 transactions, or fewer where a map's limit is small (`flush_max_items`
in app/store/map_rules.py), or 1 MiB of payloads.

A small flush waits beside a flush of many requests. While a flush of 16 requests or more is under way, fewer
than 16 transactions are not worth a call of the store. They wait until that flush has ended, or until 16
transactions wait. With 64 connections that post singles, calls are then few and large.

Beside a flush of fewer requests nothing waits, however many transactions that flush has. Say it has half a
mebibyte of one feed's body, and a single post arrives: the post starts a flush at once. If the post waited,
the next half mebibyte of the body might arrive meanwhile. Both would go in one flush, and the post would wait
for the answer to all of it.

A large flush, of more than 64 KiB, lets responses out first. Before it is sent it is compressed, which keeps
the event loop for a millisecond and more. So it first gives up four turns of the event loop, in which the
requests that the last flush has answered send their responses.

The transactions of one request that go in one flush are a *chunk*. Most requests are one chunk. A request of
5,000 transactions is cut into chunks as large as a flush may be: 1,500, 1,500, 1,500 and 500. Each chunk goes
in another flush, which chunks of other requests may fill up. The request is answered when all its chunks are.

Transactions that wait and transactions that are being flushed are limited together, in number and in bytes of
payloads. What one call of `submit` brings, a whole body or a part of an NDJSON body, is refused whole if it
would pass one of these limits. The parts of an NDJSON body that came before it stay stored.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import structlog

from app.decode.columns import Answers, Columns
from app.errors import HttpError, OutcomeUnknown, Overloaded, ShuttingDown
from app.models import Transaction

log = structlog.get_logger()

FLUSH_MAX_BYTES = 1024 * 1024
CONCURRENT_FLUSHES = 2
SMALL_FLUSH = 16
"""Fewer transactions than these do not start a flush beside one of many requests."""
MANY_REQUESTS = 16
"""A flush has many requests from this number on."""
LARGE_FLUSH_BYTES = 64 * 1024
TURNS_TO_RESPONSE = 4
"""Turns of the event loop from the end of a flush to the responses of its requests.

A request starts a task that submits its transactions, and waits for that task (`to_its_end` in
app/api/middleware.py). In the first turn the task gets its answers and ends, in the second the request learns
that the task has ended, in the third the request sends its response. The fourth is for the requests of
another flush that ended in the same turn, a moment after this one.
"""

Flush = Callable[[Sequence[Transaction]], Awaitable[Answers]]
OnDone = Callable[[Answers | Exception, int], None]
"""Called with the answers of a whole flush, or its error, and with the place of the caller's first answer."""


class Chunk(NamedTuple):
    """Transactions of one request that went in one flush, with their answers, or why the flush failed."""

    items: Sequence[Transaction]
    outcome: Answers | HttpError


def joined_answers(chunks: Sequence[Chunk]) -> Answers:
    """Return the answers of all chunks together; those of one that failed say so, each with the error.

    An answer is a code and a clock, the store's time when it decided (`Answers`).
    """
    return Answers.joined([_answers_of(chunk) for chunk in chunks])


def _answers_of(chunk: Chunk) -> Answers:
    items, outcome = chunk
    return outcome if isinstance(outcome, Answers) else Answers.failed(len(items), outcome)


@dataclass(slots=True)
class _PendingChunk:
    """A chunk that waits or is being flushed."""

    items: Sequence[Transaction]
    size: int  # bytes of payloads
    on_done: OnDone


class FlushQueue:
    """Holds transactions that wait or are being flushed, within limits; two tasks flush them."""

    def __init__(self, flush: Flush, flush_max_items: int, max_items: int, max_bytes: int) -> None:
        self._flush = flush
        self.flush_max_items = flush_max_items
        self._max_items, self._max_bytes = max_items, max_bytes
        self._queue: deque[_PendingChunk] = deque()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._chunks_in_flush = 0
        # Transactions, and bytes of their payloads, that wait or are being flushed.
        self.held_items = self.held_bytes = 0

    def start(self) -> None:
        """Start the two tasks."""
        self._tasks = [
            asyncio.create_task(self._work(), name=f"flush-{n}") for n in range(CONCURRENT_FLUSHES)
        ]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def submit(self, items: Sequence[Transaction]) -> list[Chunk]:
        """Queue transactions, wait until all are flushed, and return their chunks in the order of `items`.

        Should the caller be cancelled, its transactions are still processed; nobody else is disturbed.

        Raises:
            Overloaded: with these a limit would be passed; none of them was queued.
            ShuttingDown: the service is stopping.
            Exception: a flush failed, and not with an `HttpError`, which would be its chunk's outcome.
        """
        items = Columns.of(items)
        sizes = list(map(len, items.payloads))
        size = sum(sizes)
        self._reserve(len(items), size)
        if len(items) <= self.flush_max_items and size <= FLUSH_MAX_BYTES:
            waiting = [(items, self._enqueue(items, size))]
        else:
            slices = _chunk_slices(sizes, self.flush_max_items)
            waiting = [(items[part], self._enqueue(items[part], sum(sizes[part]))) for part in slices]
        self._wake.set()
        if len(waiting) > 1:
            # All have ended before the error of one is raised.
            await asyncio.gather(*(answered for _, answered in waiting), return_exceptions=True)
        return [await _finished(items, answered) for items, answered in waiting]

    def submit_one(self, item: Transaction, on_done: OnDone) -> None:
        """Queue a transaction for a caller that does not wait: `on_done` is called later, and must not raise.

        Raises:
            Overloaded: with it a limit would be passed; `on_done` is not called.
            ShuttingDown: the service is stopping; `on_done` is not called.
        """
        size = len(item.payload)
        self._reserve(1, size)
        self._queue.append(_PendingChunk((item,), size, on_done))
        self._wake.set()

    def resize(self, max_items: int, max_bytes: int) -> None:
        """Change the limits of what may wait or be flushed, for later requests.

        Whoever changes the size of a flush assigns to `flush_max_items`.
        """
        self._max_items, self._max_bytes = max_items, max_bytes

    async def close(self) -> None:
        """Flush what is queued, then stop."""
        self._closing = True
        self._wake.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _reserve(self, count: int, size: int) -> None:
        if self._closing:
            raise ShuttingDown("the gate is stopping; send this again to another one, or in a moment")
        if self.held_items + count > self._max_items or self.held_bytes + size > self._max_bytes:
            raise Overloaded(
                f"{self.held_items} transactions with {self.held_bytes} bytes"
                " are waiting for the store or being stored"
            )
        self.held_items += count
        self.held_bytes += size

    def _enqueue(self, items: Sequence[Transaction], size: int) -> asyncio.Future[Answers]:
        answered: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        self._queue.append(_PendingChunk(items, size, partial(_resolve, answered, len(items))))
        return answered

    async def _work(self) -> None:
        while True:
            taken = self._take()
            if taken:
                await self._run(taken)
            elif self._closing:
                # Nothing waits, or few beside the other task's flush: that task takes these after its flush.
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    def _take(self) -> list[_PendingChunk]:
        taken: list[_PendingChunk] = []
        # The task that asks flushes nothing itself, so what is in flight is the other task's flush. It has as
        # many requests as chunks: when two chunks of one request were cut, they were too much for one flush.
        if self._chunks_in_flush >= MANY_REQUESTS and self._are_few():
            return taken
        room_items, room_bytes = self.flush_max_items, FLUSH_MAX_BYTES
        while self._queue:
            first = self._queue[0]
            # The first goes whatever its size: it may be a payload of more than 1 MiB, or a chunk cut
            # before `flush_max_items` was lowered. One that does not fit holds up those behind it.
            if taken and (len(first.items) > room_items or first.size > room_bytes):
                break
            taken.append(self._queue.popleft())
            room_items -= len(first.items)
            room_bytes -= first.size
        return taken

    def _are_few(self) -> bool:
        """Tell whether fewer transactions wait than are worth a flush beside one of many requests."""
        if len(self._queue) >= SMALL_FLUSH:
            return False  # each chunk has a transaction at least, so there is no need to add them up
        return sum(len(chunk.items) for chunk in self._queue) < SMALL_FLUSH

    async def _run(self, taken: list[_PendingChunk]) -> None:
        self._chunks_in_flush += len(taken)
        outcome: Answers | Exception
        try:
            if sum(chunk.size for chunk in taken) > LARGE_FLUSH_BYTES:
                await _let_responses_out()
            outcome = await self._flush(Columns.joined([chunk.items for chunk in taken]))
        except Exception as error:  # noqa: BLE001  every waiter must hear of it, whatever it is
            outcome = error
        except asyncio.CancelledError:
            outcome = OutcomeUnknown(
                "the flush was cut off: some of this may be stored; sent again it is safe"
            )
            raise
        finally:
            self._answer(taken, outcome)
            self._chunks_in_flush -= len(taken)

    def _ended(self, _: asyncio.Task[None]) -> None:
        """Leave what waits to the other task if one was cancelled; refuse everything if both were."""
        self._wake.set()
        if all(task.done() for task in self._tasks):
            self._closing = True
            left, self._queue = list(self._queue), deque()
            self._answer(left, ShuttingDown("the gate has stopped; send this again to another one"))

    def _answer(self, chunks: list[_PendingChunk], outcome: Answers | Exception) -> None:
        _pass_on(chunks, outcome)
        self.held_items -= sum(len(chunk.items) for chunk in chunks)
        self.held_bytes -= sum(chunk.size for chunk in chunks)


async def _let_responses_out() -> None:
    """Give up the turns in which the requests just answered send their responses."""
    for _ in range(TURNS_TO_RESPONSE):
        await asyncio.sleep(0)


def _pass_on(taken: Sequence[_PendingChunk], outcome: Answers | Exception) -> None:
    at = 0
    for chunk in taken:
        try:
            chunk.on_done(outcome, at)
        except Exception:
            log.exception("answer not passed on", transactions=len(chunk.items))
        at += len(chunk.items)


async def _finished(items: Sequence[Transaction], answered: asyncio.Future[Answers]) -> Chunk:
    try:
        return Chunk(items, await answered)
    except HttpError as error:
        return Chunk(items, error)


def _resolve(future: asyncio.Future[Answers], count: int, outcome: Answers | Exception, at: int) -> None:
    if future.done():
        return  # the caller was cancelled
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome.part(at, at + count))


def _chunk_slices(sizes: Sequence[int], max_items: int) -> list[slice]:
    """Cut transactions of these sizes into chunks of at most `max_items` and 1 MiB; return where each stands.

    A single larger transaction is a chunk of its own.
    """
    slices, start, total = [], 0, 0
    for at, size in enumerate(sizes):
        total += size
        if at > start and (at - start >= max_items or total > FLUSH_MAX_BYTES):
            slices.append(slice(start, at))
            start, total = at, size
    slices.append(slice(start, len(sizes)))
    return slices
