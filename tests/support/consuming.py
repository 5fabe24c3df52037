"""A consumer whose callers lease and commit over any of several gates and die on their way, and its record.

A caller dies as one does that is killed with SIGKILL: its connection is reset, and what it knew is gone. One
whose connection breaks lives on, and commits what it holds over the next gate.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count, cycle

import msgspec

from tests.support.wire import Connection, NoAnswerError, Reply, request_bytes

PAUSE_SECONDS = 0.02
# Something befalls a caller after so many leases of its consumer, at least and at most.
LEASES_BETWEEN = 4, 12
# One of so many commits is sent a second time.
REPEATS = 7


class Line(msgspec.Struct):
    """One transaction as it is handed out."""

    signature: str
    first_seen_ms: int
    payload: msgspec.Raw


class Gap(msgspec.Struct):
    """What left before it could be handed out."""

    transactions: int | None


class Lag(msgspec.Struct):
    """How far a consumer is behind."""

    transactions: int


class Lease(msgspec.Struct):
    """The answer to a call for the next transactions; its `lease` is None when there are none."""

    lease: str | None
    transactions: list[Line]
    lag: Lag
    missed: int | None
    gaps: list[Gap] = []

    @property
    def signatures(self) -> list[str]:
        return [line.signature for line in self.transactions]


class Fate(StrEnum):
    """What befalls a caller on its way."""

    ASKING = "killed after asking for a lease"
    HANDED = "killed while the answer with the lease came"
    HOLDING = "killed with a lease in hand"
    COMMITTING = "killed after sending a commit"
    OVERSLEEPING = "kept a lease until another caller had it"


class KilledError(Exception):
    """The caller is no more."""


@dataclass
class Consumer:
    """What the callers of one name were handed, and what was answered to their commits."""

    name: str
    limit: int = 100
    lease_seconds: int = 30
    wait_seconds: int = 1
    seed: int | None = None
    """Decides when something befalls a caller; None: nothing does."""
    examine: Callable[[Line], None] = lambda _: None
    """Asserts that a transaction is as it was sent."""
    handed: Counter[str] = field(default_factory=Counter)
    committed: dict[str, int] = field(default_factory=dict)
    """The tick at which the commit of a signature was answered."""
    handed_after_commit: list[str] = field(default_factory=list)
    """What was handed to a call that was made after a commit of it had been answered."""
    committed_twice: list[str] = field(default_factory=list)
    """What was committed with two leases, one of which has to have been lost to the other."""
    missed: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    _ticks: Iterator[int] = field(default_factory=count)
    _by: dict[str, str | None] = field(default_factory=dict)
    """The lease with which a signature was committed."""
    _empty: int = -1
    """The tick of the latest call that found nothing left."""

    def __post_init__(self) -> None:
        self._fates = self._planned()
        self._next_fate = next(self._fates, None)

    @asynccontextmanager
    async def running(self, urls: Sequence[str], callers: int) -> AsyncIterator[None]:
        """Lease and commit by so many callers while the block runs."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for number in range(callers):
                turned = [*urls[number % len(urls) :], *urls[: number % len(urls)]]
                tasks.create_task(self._call(cycle(turned), stop))
            try:
                yield
            finally:
                stop.set()

    async def drained(self) -> None:
        """Wait until a call made from now on finds nothing left, not even a lease of another caller."""
        since = next(self._ticks)
        while self._empty < since:
            await asyncio.sleep(PAUSE_SECONDS)

    async def lease(self, connection: Connection) -> Lease | None:
        """Ask for the next ones; None when the gate cannot tell now."""
        tick = next(self._ticks)
        await connection.send(self._lease_request())
        self._die_if_due(Fate.ASKING)
        if self._meets(Fate.HANDED):
            await connection.answer_begins()
            raise KilledError
        return self._take(tick, await connection.answer())

    async def commit(self, connection: Connection, lease: Lease) -> bool:
        """Commit until that is answered; whether it was, and not that the lease is another caller's now."""
        await connection.send(self._commit_request(lease))
        self._die_if_due(Fate.COMMITTING)
        reply = await connection.answer()
        while reply.status == 503:
            self.happened["commits refused for now"] += 1
            await asyncio.sleep(PAUSE_SECONDS)
            reply = await connection.ask(self._commit_request(lease))
        if reply.status == 409:
            assert reply.json()["type"].endswith("lease-lost"), reply
            self.happened["leases lost to another caller"] += 1
            return False
        assert reply.status == 200, reply
        tick = next(self._ticks)
        for signature in lease.signatures:
            self.committed.setdefault(signature, tick)
            if self._by.setdefault(signature, lease.lease) != lease.lease:
                self.committed_twice.append(signature)
        self.happened["commits"] += 1
        return True

    async def _call(self, urls: Iterator[str], stop: asyncio.Event) -> None:
        """Be one caller, and after its death the next in its place."""
        held: list[Lease] = []
        while not stop.is_set():
            try:
                connection = await Connection.open(next(urls))
            except NoAnswerError:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            try:
                while not stop.is_set():
                    await self._turn(connection, held)
            except KilledError:
                held.clear()
            except NoAnswerError:
                self.happened["commits without an answer" if held else "leases without an answer"] += 1
            finally:
                connection.reset()

    async def _turn(self, connection: Connection, held: list[Lease]) -> None:
        """Lease unless something is held, and commit it."""
        if not held:
            lease = await self.lease(connection)
            if lease is None:
                await asyncio.sleep(PAUSE_SECONDS)
            elif lease.lease:
                held.append(lease)
        if held:
            self._die_if_due(Fate.HOLDING)
            if self._meets(Fate.OVERSLEEPING):
                await self._handed_again(held[0])
            is_mine = await self.commit(connection, held[0])
            if is_mine and self.happened["commits"] % REPEATS == 0:
                assert await self.commit(connection, held[0]), "a commit was taken back"
            held.clear()

    async def _handed_again(self, lease: Lease) -> None:
        """Wait until another caller has the first of what was leased."""
        first = lease.signatures[0]
        before = self.handed[first]
        while self.handed[first] == before:
            await asyncio.sleep(PAUSE_SECONDS)

    def _take(self, tick: int, reply: Reply) -> Lease | None:
        """Note what was handed out to the call that was made at this tick."""
        if reply.status == 503:
            self.happened["leases refused for now"] += 1
            return None
        assert reply.status == 200, reply
        lease = msgspec.json.decode(reply.body, type=Lease)
        times = [line.first_seen_ms for line in lease.transactions]
        assert times == sorted(times), "not in the order of acceptance"
        for line in lease.transactions:
            self.examine(line)
            if self.committed.get(line.signature, tick) < tick:
                self.handed_after_commit.append(line.signature)
        self.handed.update(lease.signatures)
        assert lease.missed is not None
        self.missed += lease.missed
        if lease.lease:
            self.happened["leases"] += 1
        elif not lease.lag.transactions:
            self._empty = tick
        return lease

    def _planned(self) -> Iterator[tuple[int, Fate]]:
        """After how many leases what befalls a caller, without end."""
        if self.seed is None:
            return
        draw, leases = random.Random(f"{self.seed} {self.name}"), 0
        for fate in cycle(Fate):
            leases += draw.randint(*LEASES_BETWEEN)
            yield leases, fate

    def _meets(self, fate: Fate) -> bool:
        """Whether this befalls a caller now; the next one is due later."""
        due = self._next_fate
        if due is None or due[1] is not fate or self.happened["leases"] < due[0]:
            return False
        self._next_fate = next(self._fates, None)
        self.happened[f"callers {fate}"] += 1
        return True

    def _die_if_due(self, fate: Fate) -> None:
        if self._meets(fate):
            raise KilledError

    def _lease_request(self) -> bytes:
        asked = f"limit={self.limit}&wait_seconds={self.wait_seconds}&lease_seconds={self.lease_seconds}"
        return request_bytes("POST", f"/consumers/{self.name}/lease?{asked}")

    def _commit_request(self, lease: Lease) -> bytes:
        body = json.dumps({"lease": lease.lease}).encode()
        return request_bytes("POST", f"/consumers/{self.name}/commit", body)
