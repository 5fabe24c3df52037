"""Posts at a steady rate, whatever is answered, beside readiness asked for all the while."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count, groupby

from tests.support.history import Attempt, Item
from tests.support.wire import Connection, NoAnswerError, ask_once, close_all

READINESS_SECONDS = 0.02
READINESS_DEADLINE_SECONDS = 10.0


@dataclass
class Post:
    """One post of one transaction: when it was sent and answered, and how (0: not at all)."""

    signature: str
    sent: float
    attempt: Attempt
    """The request itself and its answer, for the judge of a history."""
    answered: float = float("inf")
    status: int = 0
    detail: str = ""
    verdict: str = ""
    first_seen_ms: int = 0
    """When the store accepted it, by the store's clock."""

    @property
    def has_failed(self) -> bool:
        """Whether the post was answered otherwise than with 200."""
        return self.status != 200


@dataclass(frozen=True)
class Spell:
    """A time in which something was so, by the monotonic clock."""

    began: float
    ended: float

    def touches(self, post: Post) -> bool:
        """Whether the post was under way in it."""
        return post.sent <= self.ended and post.answered >= self.began


@dataclass
class Steady:
    """A steady load and its record: each post, and what `/readyz` said to whoever asked when."""

    name: str
    posts: list[Post] = field(default_factory=list)
    readiness: list[tuple[float, bool]] = field(default_factory=list)
    away: list[Spell] = field(default_factory=list)
    readiness_deadline_seconds: float = READINESS_DEADLINE_SECONDS
    """So long an answer to `/readyz` is waited for; a gate that gives none is not ready."""
    _idle: list[Connection] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    @asynccontextmanager
    async def running(self, url: str, a_second: float) -> AsyncIterator[None]:
        """Post until the block ends, then wait for the last answers."""
        stop = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pace(url, a_second, stop, tasks))
                tasks.create_task(self._look(url, stop))
                try:
                    yield
                finally:
                    stop.set()
        finally:
            await close_all(self._idle)
            self._idle.clear()

    @contextmanager
    def store_away(self) -> Iterator[None]:
        """Mark the block as the time in which the store was not there."""
        began = time.monotonic()
        yield
        self.away.append(Spell(began, time.monotonic()))

    def failed(self) -> list[Post]:
        """Posts that were not answered 200."""
        return [post for post in self.posts if post.has_failed]

    def failed_while_there(self) -> list[Post]:
        """Posts that failed though no part of their time was one in which the store was away."""
        return [post for post in self.failed() if not any(away.touches(post) for away in self.away)]

    def unready(self) -> list[Spell]:
        """The times in which the gate was not ready."""
        spells = []
        for is_ready, looks in groupby(self.readiness, key=lambda look: look[1]):
            times = [at for at, _ in looks]
            if not is_ready:
                spells.append(Spell(times[0], times[-1]))
        return spells

    def ready_at(self) -> float:
        """The moment since which every look has found the gate ready; now if there was none yet."""
        last = max((at for at, is_ready in self.readiness if not is_ready), default=0.0)
        return min((at for at, _ in self.readiness if at > last), default=time.monotonic())

    def served_while_unready(self) -> list[Post]:
        """Posts that were accepted between two requests that were both told that the gate is not ready."""
        return [
            post
            for spell in self.unready()
            for post in self.posts
            if post.status == 200 and spell.began <= post.sent and post.answered <= spell.ended
        ]

    async def post(self, url: str) -> Post:
        """Post one transaction now."""
        signature, sent = f"{self.name}-{next(self._numbers)}", time.monotonic()
        item: Item = {"signature": signature, "source": "a", "payload": [1, 2]}
        post = Post(signature, sent, Attempt(url, [item], "one"))
        self.posts.append(post)
        connection = await self._connection(url)
        try:
            reply = await post.attempt.post(connection)
        except NoAnswerError:
            await connection.close()
            return post
        post.answered, post.status = time.monotonic(), reply.status
        document = reply.json()
        if reply.status == 200:
            post.verdict, post.first_seen_ms = document["status"], document["first_seen_ms"]
        else:
            post.detail = str(document.get("detail"))
        self._idle.append(connection)
        return post

    async def look_up(self, url: str) -> None:
        """Ask for the latest transaction that was posted."""
        reply = await ask_once(url, "GET", f"/transactions/{self.posts[-1].signature}")
        assert reply.status in (200, 404), reply

    async def _connection(self, url: str) -> Connection:
        """Take the connection that was used last, if the gate has not ended it, or else open one."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.has_ended:
                return connection
            await connection.close()
        return await Connection.open(url)

    async def _pace(self, url: str, a_second: float, stop: asyncio.Event, tasks: asyncio.TaskGroup) -> None:
        due = time.monotonic()
        while not stop.is_set():
            tasks.create_task(self.post(url))
            due = max(due + 1 / a_second, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _look(self, url: str, stop: asyncio.Event) -> None:
        while not stop.is_set():
            asked = time.monotonic()
            self.readiness.append((asked, await self._is_ready(url)))
            await asyncio.sleep(READINESS_SECONDS)

    async def _is_ready(self, url: str) -> bool:
        """Ask `/readyz`; a gate that does not answer in time is not ready."""
        try:
            async with asyncio.timeout(self.readiness_deadline_seconds):
                return (await ask_once(url, "GET", "/readyz")).status == 200
        except TimeoutError:
            return False
