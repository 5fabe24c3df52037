"""Three feeds, two gates and two consumers of three callers each, while all of them are killed and cut off.

The gates reach their store through proxies. A gate is killed with SIGKILL and started anew at its port; the
proxies break connections, one of them in place of passing on the answer to a claim. Both happen after so many
answers to posts, drawn from a seed; posts wait shortly before that for the gate that is still starting, so
that each fault meets two gates under load. A feed sends a batch until it is answered 200, so in the end the
store knows all that was sent, each signature once.
"""

import asyncio
import json
import random
import tempfile
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from app.store.partitions import signature_hash
from tests.support.consuming import Consumer, Line
from tests.support.gate import GateProcess, start_gate
from tests.support.load import transaction
from tests.support.proxied_gates import ProxiedGates
from tests.support.servers import StoreServer
from tests.support.truth import count_entries
from tests.support.wire import Connection, NoAnswerError

FEEDS, GATES, CONSUMERS, CALLERS = ("helius-a", "quicknode-b", "grpc-c"), 2, ("bot", "archive"), 3
CONNECTIONS_A_FEED = 4
PAUSE_SECONDS = 0.02
# Posts wait for the last fault to be over when the next one is so many answers away; more than are under way.
MARGIN = 2 * len(FEEDS) * CONNECTIONS_A_FEED
# Of a batch, so many are sent a second time within it, and a feed delivers so many batches early or late.
DOUBLES, SHUFFLED = 2, 8
# Nothing leaves while it runs, and each signature is accepted once.
LASTING: dict[str, object] = {
    "dedup_window_seconds": 3600,
    "transaction_retention_seconds": 3600,
    "observation_retention_seconds": 3600,
    "emergency_transaction_retention_seconds": 3600,
    "emergency_observation_retention_seconds": 3600,
    "store_deadline_seconds": 10,
}


@dataclass(frozen=True)
class Plan:
    """How much is delivered, and what goes wrong meanwhile."""

    transactions: int
    batch_items: int = 20
    lease_items: int = 100
    kills: int = 4
    cuts: int = 3
    seed: int = 1
    lease_seconds: int = 1

    def batches(self) -> list[list[str]]:
        """The signatures of each batch; some of them stand in it twice."""
        draw = random.Random(self.seed)
        made = []
        for first in range(0, self.transactions, self.batch_items):
            fresh = [f"t{n}" for n in range(first, min(first + self.batch_items, self.transactions))]
            made.append(fresh + draw.choices(fresh, k=DOUBLES))
        return made

    def faults(self) -> Iterator[tuple[int, str]]:
        """After how many answers to posts what happens, in order and with more than the margin between."""
        draw = random.Random(f"{self.seed} faults")
        kinds = ["kill"] * self.kills + ["cut"] * self.cuts
        draw.shuffle(kinds)
        posts = len(FEEDS) * -(-self.transactions // self.batch_items)
        share = posts // (len(kinds) + 1)
        assert share > 2 * MARGIN, "too few posts for so many faults"
        for number, kind in enumerate(kinds, 1):
            yield number * share + draw.randrange(-MARGIN // 2, MARGIN // 2), kind


class Faults:
    """Does what is planned when its time has come, and keeps posts from running ahead of it."""

    def __init__(
        self, plan: Plan, actions: dict[str, Callable[[], Awaitable[None]]], tasks: asyncio.TaskGroup
    ) -> None:
        self.happened: Counter[str] = Counter()
        self._due, self._actions, self._tasks = deque(plan.faults()), actions, tasks
        self._answers = 0
        self._is_over = asyncio.Event()
        self._is_over.set()

    async def before_post(self) -> None:
        """Wait for the end of a fault when the next one is near."""
        if self._due and self._answers >= self._due[0][0] - MARGIN:
            await self._is_over.wait()

    def post_answered(self) -> None:
        """Count an answer, and begin what is due after it."""
        self._answers += 1
        if self._due and self._answers >= self._due[0][0]:
            _, kind = self._due.popleft()
            self._is_over.clear()
            self._tasks.create_task(self._do(kind))

    async def end(self) -> None:
        """Wait until what began last is over."""
        await self._is_over.wait()

    async def _do(self, kind: str) -> None:
        await self._actions[kind]()
        self.happened[f"{kind}s"] += 1
        self._is_over.set()


@dataclass
class Feeds:
    """Feeds that deliver the same batches at full speed, and what they were told."""

    batches: list[list[str]]
    urls: list[str]
    faults: Faults
    accepted: Counter[str] = field(default_factory=Counter)
    """How often a signature was answered `accepted`."""
    happened: Counter[str] = field(default_factory=Counter)
    _sent: set[int] = field(default_factory=set)

    def next_claim(self) -> bytes:
        """Return what stands in a claim that is to come soon and that accepts: a signature no feed has sent.

        Once all were sent, what stands in the call of any script.
        """
        unsent = (batch for number, batch in enumerate(self.batches) if number not in self._sent)
        return next((signature_hash(batch[0]) for batch in unsent), b"EVALSHA")

    async def deliver(self, seed: int) -> None:
        """Send every batch by every feed until each was answered 200."""
        async with asyncio.TaskGroup() as tasks:
            for place, feed in enumerate(FEEDS):
                draw = random.Random(f"{seed} {feed}")
                order = [(number + draw.random() * SHUFFLED, number) for number in range(len(self.batches))]
                queue = deque(number for _, number in sorted(order))
                for connection in range(CONNECTIONS_A_FEED):
                    tasks.create_task(self._work(feed, queue, place + connection))

    async def _work(self, feed: str, queue: deque[int], gate: int) -> None:
        while queue:
            try:
                connection = await Connection.open(self.urls[gate % GATES])
            except NoAnswerError:
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                await self._post(connection, feed, queue)
                await connection.close()
            gate += 1

    async def _post(self, connection: Connection, feed: str, queue: deque[int]) -> None:
        """Post over one connection until it breaks or all is sent; what was not answered is left."""
        while queue:
            await self.faults.before_post()
            if not queue:
                break
            number = queue.popleft()
            self._sent.add(number)
            body = json.dumps([transaction(signature) for signature in self.batches[number]]).encode()
            try:
                reply = await connection.post(body, f"/transactions?source={feed}")
            except NoAnswerError:
                queue.appendleft(number)
                self.happened["posts without an answer"] += 1
                return
            if reply.status == 200:
                self._note(self.batches[number], reply.json())
                self.faults.post_answered()
                continue
            assert reply.status == 503, reply
            queue.appendleft(number)
            self.happened["posts refused for now"] += 1
            await asyncio.sleep(PAUSE_SECONDS)

    def _note(self, batch: list[str], summary: dict[str, object]) -> None:
        duplicates = summary["duplicates"]
        assert isinstance(duplicates, list)
        known = set(duplicates)
        assert summary["accepted"] == len(batch) - len(known), summary
        self.accepted.update(signature for at, signature in enumerate(batch) if at not in known)


@dataclass
class Outcome:
    """What came of it."""

    plan: Plan
    stored: int
    """Transactions in the store, counted in its keys."""
    accepted: Counter[str]
    consumers: list[Consumer]
    happened: dict[str, int]
    seconds: float

    @property
    def told_to_nobody(self) -> int:
        """How many were accepted without a feed being told so, since the answer was lost."""
        return self.plan.transactions - len(self.accepted)

    def failures(self) -> Iterator[str]:
        """What breaks laws 1, 2 or 9, a sentence each."""
        sent = {f"t{number}" for number in range(self.plan.transactions)}
        if twice := [signature for signature, times in self.accepted.items() if times > 1]:
            yield f"{len(twice)} accepted more than once: {twice[:5]}"
        if self.stored != len(sent):
            yield f"{self.stored} of {len(sent)} are in the store"
        for one in self.consumers:
            if missing := sorted(sent - one.handed.keys()):
                yield f"{one.name}: {len(missing)} were never handed out: {missing[:5]}"
            if strange := sorted(one.handed.keys() - sent):
                yield f"{one.name}: {len(strange)} were handed out and never sent: {strange[:5]}"
            if again := one.handed_after_commit:
                yield f"{one.name}: {len(again)} were handed out again after their commit: {again[:5]}"
            if twice := one.committed_twice:
                yield f"{one.name}: {len(twice)} were committed with two leases: {twice[:5]}"
            if one.missed:
                yield f"{one.name}: told that it missed {one.missed}"

    def figures(self) -> dict[str, object]:
        """What happened in numbers, to be written down."""
        consumers = {
            one.name: {
                "handed_out": len(one.handed),
                "handed_out_again": one.handed.total() - len(one.handed),
                "most_often": max(one.handed.values(), default=0),
                **one.happened,
            }
            for one in self.consumers
        }
        return {
            "transactions": self.plan.transactions,
            "seed": self.plan.seed,
            "seconds": round(self.seconds, 1),
            "stored": self.stored,
            "accepted_and_told_to_nobody": self.told_to_nobody,
            "happened": self.happened,
            "consumers": consumers,
            "failures": list(self.failures()),
        }


async def hand_on(server: StoreServer, plan: Plan, start: Callable[..., GateProcess] = start_gate) -> Outcome:
    """Post and consume through the planned faults, until both consumers have nothing left to read."""
    with tempfile.TemporaryDirectory(prefix="handed-on-", ignore_cleanup_errors=True) as folder:
        async with ProxiedGates(server, Path(folder), GATES, start, **LASTING).running() as gates:
            consumers = [
                Consumer(name, plan.lease_items, plan.lease_seconds, seed=plan.seed, examine=_as_sent)
                for name in CONSUMERS
            ]
            started = time.monotonic()
            async with AsyncExitStack() as stack:
                tasks = await stack.enter_async_context(asyncio.TaskGroup())
                faults = Faults(
                    plan, {"kill": gates.kill, "cut": lambda: gates.cut(feeds.next_claim())}, tasks
                )
                feeds = Feeds(plan.batches(), gates.urls, faults)
                for consumer in consumers:
                    await stack.enter_async_context(consumer.running(gates.urls, CALLERS))
                await feeds.deliver(plan.seed)
                await faults.end()
                for consumer in consumers:
                    await consumer.drained()
            seconds = time.monotonic() - started
            stored = count_entries(server).transactions
    happened = dict(faults.happened + feeds.happened)
    return Outcome(plan, stored, feeds.accepted, consumers, happened, seconds)


def _as_sent(line: Line) -> None:
    assert bytes(line.payload) == json.dumps(transaction(line.signature)["payload"]).encode(), line
