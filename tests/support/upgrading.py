"""Feeds that go on posting while the gates before them are replaced, and the check of their answers.

Each transaction is posted by two feeds, at different gates, and once more a while later. A feed whose gate
was told to stop goes on at the gate that took its place, with what it had no answer to.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from app.store.partitions import signature_hash
from tests.support.gate import GateProcess
from tests.support.load import Item, transaction
from tests.support.servers import StoreServer
from tests.support.wire import Connection, NoAnswerError, Reply

BATCH_ITEMS = 100
BATCHES_A_SECOND = 20
AGAIN_BATCHES = 30  # so much later a batch is posted again


class Failure(NamedTuple):
    """A post that was not answered 200 although its gate had not been told to stop."""

    gate: str
    answer: Reply | None


@dataclass
class History:
    """What was answered about each signature, in whatever order."""

    accepted: Counter[str] = field(default_factory=Counter)
    duplicate: Counter[str] = field(default_factory=Counter)
    unknown: set[str] = field(default_factory=set)
    """Signatures of posts that had no answer, or not 200: they may be stored."""
    failures: list[Failure] = field(default_factory=list)

    def note(self, batch: list[Item], reply: Reply | None) -> None:
        """Take the answer to a batch; None if there was none."""
        signatures = [str(item["signature"]) for item in batch]
        if reply is None or reply.status != 200:
            self.unknown.update(signatures)
            return
        summary = reply.json()
        assert summary["accepted"] + summary["duplicate"] == len(batch), summary
        repeated = set(summary["duplicates"])
        for at, signature in enumerate(signatures):
            (self.duplicate if at in repeated else self.accepted)[signature] += 1

    def acknowledged(self) -> set[str]:
        """Every signature that was answered `accepted` or `duplicate`."""
        return {*self.accepted, *self.duplicate}

    def accepted_twice(self) -> list[str]:
        """Signatures that were answered `accepted` more than once in their window."""
        return [signature for signature, times in self.accepted.items() if times > 1]

    def false_duplicates(self) -> list[str]:
        """Signatures that were called duplicates although no post can have been accepted."""
        return [name for name in self.duplicate if name not in self.accepted and name not in self.unknown]

    def lost(self, kept: Collection[bytes]) -> list[str]:
        """Acknowledged signatures whose transaction is not among the hashes that are kept."""
        return [name for name in self.acknowledged() if signature_hash(name) not in kept]


def assert_history(history: History, kept: Collection[bytes]) -> None:
    """Nothing was accepted twice, nothing called a duplicate that was not stored, nothing lost."""
    found = {
        "accepted twice": history.accepted_twice(),
        "false duplicates": history.false_duplicates(),
        "lost": history.lost(kept),
    }
    assert not any(found.values()), {what: names[:5] for what, names in found.items() if names}


def kept_hashes(server: StoreServer) -> set[bytes]:
    """The hashes of all transactions in the store, whatever the format."""
    hashes = set[bytes]()
    for node in server.nodes():
        with node:
            for key in node.scan_iter(match="tidegate:*:transactions:*", count=1000):
                if key.rpartition(b":")[2].isdigit():
                    hashes.update(node.hkeys(key))  # type: ignore[arg-type]
    return hashes - {b""}


@dataclass
class Feeds:
    """Two feeds with the same transactions, each before a gate of its own."""

    gates: list[GateProcess]
    history: History = field(default_factory=History)
    stopping: set[str] = field(default_factory=set)
    posted: list[list[Item]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)
    _idle: Mapping[str, list[Connection]] = field(default_factory=lambda: defaultdict(list))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Post until the block ends, then wait for the last answers."""
        stop = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pace(stop, tasks))
                try:
                    yield
                finally:
                    stop.set()
        finally:
            await asyncio.gather(*(connection.close() for idle in self._idle.values() for connection in idle))

    async def replace(self, feed: int, gate: GateProcess) -> None:
        """Stop the gate of a feed while it posts there, and let the feed go on at another one."""
        old = self.gates[feed]
        self.stopping.add(old.url)
        stopped = asyncio.create_task(asyncio.to_thread(old.terminate))
        self.gates[feed] = gate
        assert await stopped == 0

    async def _pace(self, stop: asyncio.Event, tasks: asyncio.TaskGroup) -> None:
        due = time.monotonic()
        while not stop.is_set():
            batch = [transaction(f"upgrade-{next(self._numbers)}") for _ in range(BATCH_ITEMS)]
            self.posted.append(batch)
            for feed in range(len(self.gates)):
                tasks.create_task(self._deliver(feed, batch))
            if len(self.posted) > AGAIN_BATCHES:
                again = self.posted[-AGAIN_BATCHES]
                tasks.create_task(self._deliver(len(self.posted) % len(self.gates), again))
            due = max(due + 1 / BATCHES_A_SECOND, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def _deliver(self, feed: int, batch: list[Item]) -> None:
        """Post a batch at the gate of a feed until it is answered 200."""
        while True:
            url = self.gates[feed].url
            reply = await self._post(url, batch)
            self.history.note(batch, reply)
            if reply is not None and reply.status == 200:
                return
            if url not in self.stopping:
                self.history.failures.append(Failure(url, reply))
                return

    async def _post(self, url: str, batch: list[Item]) -> Reply | None:
        idle = self._idle[url]
        try:
            connection = idle.pop() if idle else await Connection.open(url)
            reply = await connection.post(batch)
        except NoAnswerError:
            return None
        idle.append(connection)
        return reply
