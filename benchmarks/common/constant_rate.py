"""Posts that are due at fixed times, whatever is answered, each timed from when it was due.

`load` is the constant load of the soak: three feeds that deliver the same batches, each over a connection of
its own. Which feed is first changes with every batch; the two others follow some milliseconds later, within
the dedup window, so two thirds of what is delivered are duplicates.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count, tee

from benchmarks.common.plan import ADDRESSES, FEEDS
from tests.support.payloads import Payloads, body_of
from tests.support.wire import Connection, NoAnswerError, Reply, request_bytes

BEHIND_SECONDS = (0.0, 0.03, 0.12)
BATCH_ITEMS = 100

Call = tuple[float, float]
"""When a call was due, by `time.monotonic`, and the seconds until its answer."""
Schedule = Iterable[tuple[float, str, bytes]]
"""When each post is due, its source, and its body."""


@dataclass
class Answers:
    """What was answered: items by verdict, requests by status (0: no answer), and each call's time."""

    items: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    calls: list[Call] = field(default_factory=list)

    def take(self, due: float, reply: Reply) -> None:
        """Count an answer that came now."""
        self.calls.append((due, time.monotonic() - due))
        self.statuses[reply.status] += 1
        if reply.status == HTTPStatus.OK:
            summary = reply.json()
            for verdict in ("accepted", "duplicate", "invalid"):
                self.items[verdict] += summary.get(verdict, 0)

    def seconds(self, since: float = 0.0, until: float = float("inf")) -> list[float]:
        """How long the calls took that were due in a span of time."""
        return [seconds for due, seconds in self.calls if since <= due < until]


async def post_when_due(
    url: str, schedule: Schedule, answers: Answers, address: str = ADDRESSES["items"]
) -> None:
    """Post one after another over one connection, and over a new one when it ends.

    The source stands at the end of the address.
    """
    connection: Connection | None = None
    try:
        for due, source, body in schedule:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            try:
                connection = connection or await Connection.open(url)
                reply = await connection.ask(request_bytes("POST", address + source, body))
            except (NoAnswerError, TimeoutError):
                answers.statuses[0] += 1
                connection = None
                continue
            answers.take(due, reply)
            if reply.headers.get("connection") == "close":
                connection = None
    finally:
        if connection is not None:
            await connection.close()


@dataclass(frozen=True)
class Rate:
    """How often a body is posted by every source, and over how many connections a source, in turn."""

    per_second: float
    sources: Sequence[str]
    connections: int
    form: str = "items"


async def post_at_rate(url: str, bodies: Sequence[bytes], rate: Rate, answers: Answers) -> None:
    """Post the bodies at a constant rate."""
    begins = time.monotonic()
    due = [(begins + number / rate.per_second, body) for number, body in enumerate(bodies)]
    schedules = (
        [(at, source, body) for at, body in due[first :: rate.connections]]
        for source in rate.sources
        for first in range(rate.connections)
    )
    await asyncio.gather(*(post_when_due(url, each, answers, ADDRESSES[rate.form]) for each in schedules))


@asynccontextmanager
async def load(url: str, accepted_per_second: float, seed: int = 1) -> AsyncIterator[Answers]:
    """Run the three feeds while the block runs."""
    answers = Answers()
    copies = enumerate(tee(_batches(accepted_per_second, seed), len(FEEDS)))
    posts = [post_when_due(url, _feed(place, batches), answers) for place, batches in copies]
    tasks = [asyncio.create_task(post) for post in posts]
    try:
        yield answers
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    failed = [end for end in ended if isinstance(end, Exception)]
    if failed:
        raise failed[0]


def _batches(accepted_per_second: float, seed: int) -> Iterator[tuple[float, list[float], bytes]]:
    """When each batch is due, how much later each feed delivers it, and its body."""
    payloads, order, started = Payloads(seed), random.Random(seed), time.monotonic()
    for number in count():
        due = started + number * BATCH_ITEMS / accepted_per_second
        yield due, order.sample(BEHIND_SECONDS, len(FEEDS)), body_of(payloads.items(BATCH_ITEMS))


def _feed(place: int, batches: Iterator[tuple[float, list[float], bytes]]) -> Schedule:
    for due, behind, body in batches:
        yield due + behind[place], FEEDS[place], body
