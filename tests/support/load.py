"""A feed that posts fresh transactions as fast as it is answered, and keeps a record of every request."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, cycle

from tests.support.servers import StoreServer
from tests.support.truth import count_entries
from tests.support.wire import NDJSON, Connection, NoAnswerError, Reply, ask_once, connected

BATCH_ITEMS = 10
LOOKUPS_AT_ONCE = 8
# After a refusal, so that an outage does not fill the record with refusals.
REFUSED_PAUSE_SECONDS = 0.1

Item = dict[str, object]


@dataclass
class Attempt:
    """One request, and what came of it."""

    kind: str
    items: list[Item]
    reply: Reply | None = None

    async def post(self, connection: Connection) -> Reply:
        """Send it; the answer is kept."""
        self.reply = await connection.post(self._body(), media=self._media())
        return self.reply

    @property
    def is_processed(self) -> bool:
        return self.reply is not None and self.reply.status == 200

    def verdicts(self) -> Iterator[tuple[str, Item]]:
        """`accepted` or `duplicate` for each item of a request that was answered 200."""
        assert self.reply is not None
        document = self.reply.json()
        if self.kind == "one":
            yield document["status"], self.items[0]
            return
        assert document["invalid"] == 0
        assert document["accepted"] + document["duplicate"] == len(self.items)
        for at, item in enumerate(self.items):
            yield ("duplicate" if at in document["duplicates"] else "accepted"), item

    def _media(self) -> str:
        return NDJSON if self.kind == "lines" else "application/json"

    def _body(self) -> bytes:
        if self.kind == "lines":
            return "\n".join(json.dumps(item) for item in self.items).encode()
        return json.dumps(self.items[0] if self.kind == "one" else self.items).encode()


@dataclass
class Feed:
    """A feed that delivers, and its record over any number of gates."""

    name: str
    attempts: list[Attempt] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    @asynccontextmanager
    async def running(self, url: str, workers: int = 4, *, insists: bool = False) -> AsyncIterator[None]:
        """Post at one gate, until the block ends or the gate does; who insists sends a refused request again.

        It is sent until it is answered 200, as the feeds of providers do it.
        """
        stop = asyncio.Event()
        tasks = [asyncio.create_task(self._work(url, kind, stop, insists)) for kind in _kinds(workers)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def retry(self, url: str, attempts: Iterable[Attempt]) -> None:
        """Send requests again, as they were; every one has to be answered 200."""
        queue = list(attempts)

        async def work(connection: Connection) -> None:
            while queue:
                earlier = queue.pop()
                again = Attempt(earlier.kind, earlier.items)
                self.attempts.append(again)
                assert (await again.post(connection)).status == 200, again.reply

        async with connected(url, LOOKUPS_AT_ONCE) as connections:
            await asyncio.gather(*map(work, connections))

    def unanswered(self, since: int = 0) -> list[Attempt]:
        """Requests whose fate is unknown to the feed: no answer, or 503."""
        return [attempt for attempt in self.attempts[since:] if not attempt.is_processed]

    def processed(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.is_processed]

    def answered(self, verdict: str) -> list[Item]:
        """The items that were answered `accepted` or `duplicate`, once for each such answer."""
        return [
            item for attempt in self.processed() for given, item in attempt.verdicts() if given == verdict
        ]

    def accepted_twice(self) -> list[str]:
        """Signatures that were answered `accepted` more than once."""
        times = Counter(str(item["signature"]) for item in self.answered("accepted"))
        return [signature for signature, number in times.items() if number > 1]

    def false_duplicates(self) -> list[str]:
        """Signatures that were answered `duplicate` when they were sent for the first time."""
        sent, found = set[str](), list[str]()
        for attempt in self.attempts:  # in the order they were sent
            if attempt.is_processed:
                duplicates = {
                    str(item["signature"]) for given, item in attempt.verdicts() if given == "duplicate"
                }
                found += sorted(duplicates - sent)
            sent |= {str(item["signature"]) for item in attempt.items}
        return found

    async def assert_honest(self, url: str) -> None:
        """Laws 1 and 2: nothing was accepted twice, or a duplicate of nothing; all acknowledged is stored."""
        assert self.accepted_twice() == [], "accepted twice"
        assert self.false_duplicates() == [], "called duplicates, and never sent before"
        told = self.answered("accepted") + self.answered("duplicate")
        await assert_stored(url, list({str(item["signature"]): item for item in told}.values()))

    async def _work(self, url: str, kind: str, stop: asyncio.Event, insists: bool) -> None:
        items = self._fresh_items(kind)
        try:
            async with connected(url, 1) as [connection]:
                while not stop.is_set():
                    attempt = Attempt(kind, items)
                    self.attempts.append(attempt)
                    is_refused = (await attempt.post(connection)).status != 200
                    if is_refused:
                        await asyncio.sleep(REFUSED_PAUSE_SECONDS)
                    items = items if is_refused and insists else self._fresh_items(kind)
        except NoAnswerError:
            return

    def _fresh_items(self, kind: str) -> list[Item]:
        numbers = (next(self._numbers) for _ in range(1 if kind == "one" else BATCH_ITEMS))
        return [transaction(f"{self.name}-{number}") for number in numbers]


def _kinds(workers: int) -> list[str]:
    kinds = cycle(("one", "array", "one", "lines"))
    return [next(kinds) for _ in range(workers)]


def transaction(signature: str) -> Item:
    """An item whose payload is its own."""
    payload = {"of": signature, "fee": 5000, "log": [f"Program {signature} invoke [{n}]" for n in range(5)]}
    return {"signature": signature, "source": "helius-a", "slot": 7, "payload": payload}


async def assert_stored(url: str, items: Sequence[Item]) -> None:
    """Each can be looked up, with its payload; one that cannot is lost."""
    queue = list(items)

    async def work(connection: Connection) -> None:
        while queue:
            item = queue.pop()
            reply = await connection.get(f"/transactions/{item['signature']}")
            assert reply.status == 200, ("lost", item["signature"], reply)
            assert reply.json()["payload"] == item["payload"], ("other than was sent", item["signature"])

    async with connected(url, LOOKUPS_AT_ONCE) as connections:
        await asyncio.gather(*map(work, connections))


async def assert_balanced(url: str, store: StoreServer) -> None:
    """Law 3: in `/stats`, added minus removed is what each map holds, and the store really holds that."""
    maps = (await ask_once(url, "GET", "/stats")).json()["maps"]
    truth = count_entries(store)
    assert set(maps) == {"signatures", "transactions", "observations"}
    for name, figures in maps.items():
        left = figures["added_total"] - sum(figures["removed_total"].values())
        assert left == figures["entries"] == getattr(truth, name), name
