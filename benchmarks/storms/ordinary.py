"""The ordinary client beside a storm: posts at a fixed rate, timed from when each was due."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from statistics import quantiles

from tests.support.wire import Connection, NoAnswerError, request_bytes

CONNECTIONS = 4
POSTS_PER_SECOND = 100.0
_numbers = count()


@dataclass
class Posts:
    """Seconds from when a post was due to its answer, and how many answers had each status (0: none)."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def milliseconds(self, percent: int) -> float:
        """A percentile of the times; NaN when next to nothing was answered."""
        if not self.seconds[1:]:
            return float("nan")
        return round(quantiles(self.seconds, n=100, method="inclusive")[percent - 1] * 1000, 1)


async def post(url: str, seconds: float) -> Posts:
    """Post new transactions for so long; waiting for an answer does not slow the rate down."""
    posts = Posts()
    async with asyncio.TaskGroup() as group:
        for number in range(CONNECTIONS):
            group.create_task(_post_on_one(url, posts, seconds, number))
    return posts


async def _post_on_one(url: str, posts: Posts, seconds: float, number: int) -> None:
    period = CONNECTIONS / POSTS_PER_SECOND
    started = time.monotonic() + period * number / CONNECTIONS
    connection: Connection | None = None
    for turn in range(int(seconds / period)):
        due = started + turn * period
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        try:
            connection = connection or await Connection.open(url)
            body = b'{"signature":"ordinary-%d","payload":{"fee":25000}}' % next(_numbers)
            reply = await connection.ask(request_bytes("POST", "/transactions", body))
        except (NoAnswerError, TimeoutError):
            connection = None
            posts.statuses[0] += 1
            continue
        posts.statuses[reply.status] += 1
        posts.seconds.append(time.monotonic() - due)
        if reply.headers.get("connection") == "close":
            connection = None
    if connection is not None:
        await connection.close()
