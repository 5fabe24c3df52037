"""Leases of consumers: asked for at the store, shared among callers that wait, taken apart when committed.

What a lease hands out is decided in the store (app/store/lua/lease_transactions.lua, called by
app/store/consumers.py); here is what a gate adds to that. Callers under one name share its work. While there
is none they wait, and one of them asks the store for all when something was accepted; it also asks twice a
second, since a lease may have run out.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from app.consumer_errors import LeaseLost, UnknownLease
from app.consumers.cursor import Cursor
from app.consumers.lease_name import LeaseName
from app.consumers.tail import Tail
from app.consumers.waiter import Waiter
from app.errors import Overloaded
from app.models import CONSUMER_PATTERN
from app.server.exchange import GONE, STOPPING
from app.store.consumers import CommitResult, Consumers, Leases
from app.store.positions import Start
from app.store.read_accepted import Accepted
from app.store.settings_in_force import LiveSettings

MOST_BYTES: Final = 1024 * 1024
"""The bytes of one lease before compression; each partition may give one block that has more."""
ANSWER_BYTES: Final = 32 * 1024 * 1024
"""The bytes of all answers with leases that are being made or sent."""
RETRY_SECONDS, ROOM_SECONDS = 0.5, 5.0
NAME = re.compile(CONSUMER_PATTERN)


class LeaseWanted(NamedTuple):
    """What a caller asks for."""

    limit: int
    wait_seconds: float
    lease_seconds: float
    start: Start
    """Where a consumer begins that is new."""


class Caller:
    """Somebody who wants a lease; `end` is called when it sends no more, has gone, or the gate stops."""

    def __init__(self) -> None:
        self.waiter = Waiter()
        self.ended_by = ""
        """What the server told of it: HALF_CLOSED, GONE or STOPPING; empty while it waits."""

    def end(self, reason: str) -> None:
        """Wait no longer: one that sends no more is leased what there is, and others nothing."""
        self.ended_by = reason
        self.waiter.wake()

    @property
    def is_over(self) -> bool:
        """Tell whether nothing is to be leased to it any more."""
        return self.ended_by in (GONE, STOPPING)


@dataclass
class _Callers:
    """The callers that wait under one name."""

    count: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    empty_at: int = -1
    """The tail's count of news when there was nothing to lease."""
    asked: float = 0.0


class Leasing:
    """Leases, commits and moves, for all consumers that call this process."""

    def __init__(self, live: LiveSettings, consumers: Consumers, accepted: Accepted, tail: Tail) -> None:
        self._live, self._consumers, self._accepted, self._tail = live, consumers, accepted, tail
        self._callers: dict[str, _Callers] = {}
        self.held_bytes = 0
        """The bytes of answers with leases that are being made or sent."""
        self.turns: deque[asyncio.Future[None]] = deque()
        """The callers that wait for room, in the order in which they came."""

    async def lease(self, name: str, wanted: LeaseWanted, caller: Caller, room: "Room") -> Leases | None:
        """Lease the next transactions, and wait for some; None if it was over with the caller before.

        Raises:
            Overloaded: there is no room for an answer.
            TooManyConsumers, TooManyLeases: it cannot be leased.
            StoreError: nothing was leased, or whether something was is unknown; that would run out.
        """
        until, found, is_new = time.monotonic() + wanted.wait_seconds, None, False
        with self._waiting(name) as callers:
            while not caller.is_over:
                async with callers.lock:
                    if not caller.is_over and (found is None or self._is_due(callers)):
                        found = await self._ask(name, wanted, callers, room)
                        is_new |= found.is_new
                left = until - time.monotonic()
                if left <= 0 or caller.ended_by or (found is not None and any(found.parts)):
                    break
                await self._tail.wait(caller.waiter, min(left, RETRY_SECONDS))
        return found and found._replace(is_new=is_new)

    async def commit(self, lease: LeaseName) -> CommitResult:
        """Commit a lease, in all partitions that it is of; to do so again does no harm.

        Partitions know nothing of one another. What one gave and nobody took over is done, and is committed
        there, whatever became of the rest: else it would be handed out again without need.

        Raises:
            LeaseLost: some of it went to another caller; it says in how many partitions.
            UnknownLease: the consumer does not know it, or not any more.
            StoreError: whether it was committed is unknown.
        """
        if any(partition >= self._accepted.partitions for partition, _ in lease.numbers):
            raise UnknownLease("the store has fewer partitions than the lease")
        calls = (
            self._consumers.commit(lease.consumer, partition, number, lease.incarnation, self._idle_ms)
            for partition, number in lease.numbers
        )
        results = await asyncio.gather(*calls)
        lost, unknown = results.count(CommitResult.SUPERSEDED), results.count(CommitResult.UNKNOWN)
        committed = len(results) - lost - unknown
        but = (
            f"; but what {committed} of its {len(results)} partitions gave is committed" if committed else ""
        )
        if lost:
            late = "it was not committed in time, or the consumer was moved: it is handed out again"
            raise LeaseLost(late + but, committed, lost)
        if unknown:
            raise UnknownLease(
                f"{lease.consumer} has no such lease; a consumer that was forgotten begins anew{but}"
            )
        return CommitResult.COMMITTED if CommitResult.COMMITTED in results else CommitResult.REPEATED

    async def seek(self, name: str, to: Start | Cursor) -> None:
        """Move a consumer.

        Raises:
            UnknownConsumer: there is none of that name.
            UnknownCursor: the store does not have the place.
            StoreError: it may have been moved.
        """
        place = to.place(await self._accepted.find("now")) if isinstance(to, Cursor) else to
        await self._consumers.seek(name, place, self._idle_ms)

    @contextmanager
    def room(self) -> Iterator["Room"]:
        """Have room for the answer with a lease, none at first; what is held of it is released in the end."""
        room = Room(self)
        try:
            yield room
        finally:
            room.resize(0)

    def give_room(self) -> None:
        """Give room to those who wait, as far as there is any."""
        while self.turns and self.held_bytes + MOST_BYTES <= ANSWER_BYTES:
            turn = self.turns.popleft()
            if not turn.done():  # its caller may wait no more
                turn.set_result(None)
                self.held_bytes += MOST_BYTES

    @property
    def _idle_ms(self) -> int:
        return _milliseconds(self._live.settings.consumer_idle_seconds)

    @contextmanager
    def _waiting(self, name: str) -> Iterator[_Callers]:
        callers = self._callers.setdefault(name, _Callers())
        callers.count += 1
        try:
            yield callers
        finally:
            callers.count -= 1
            if not callers.count:
                del self._callers[name]

    def _is_due(self, callers: _Callers) -> bool:
        """Tell whether there may be something that was not there when one of them asked last."""
        return callers.empty_at != self._tail.news or time.monotonic() - callers.asked >= RETRY_SECONDS

    async def _ask(self, name: str, wanted: LeaseWanted, callers: _Callers, room: "Room") -> Leases:
        settings, news = self._live.settings, self._tail.news
        lease_ms = _milliseconds(wanted.lease_seconds)
        await room.take()
        leases = await self._consumers.lease(
            name, wanted.limit, MOST_BYTES, lease_ms, self._idle_ms, settings.consumers_limit, wanted.start
        )
        if not any(leases.parts):
            room.resize(0)
            callers.empty_at, callers.asked = news, time.monotonic()
        return leases


class Room:
    """What one answer with a lease holds of the bytes for all of them."""

    def __init__(self, leasing: Leasing) -> None:
        self._leasing, self._size = leasing, 0

    async def take(self) -> None:
        """Take room for as much as a lease may have, before it is asked for; wait for some in turn.

        Raises:
            Overloaded: there was none for some seconds.
        """
        leasing = self._leasing
        turn = asyncio.get_running_loop().create_future()
        leasing.turns.append(turn)
        leasing.give_room()
        try:
            async with asyncio.timeout(ROOM_SECONDS):
                await turn
        except TimeoutError:
            raise Overloaded(f"answers with leases hold {leasing.held_bytes} bytes already") from None
        finally:
            if turn.done() and not turn.cancelled():
                self._size = MOST_BYTES

    def resize(self, size: int) -> None:
        """Hold so many bytes from here on; the next has what gets free."""
        self._leasing.held_bytes += size - self._size
        self._size = size
        self._leasing.give_room()


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
