"""A feed that posts fresh transactions as fast as it is answered, and keeps a record of every request."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, cycle

from tests.support.history import History, Item
from tests.support.wire import NoAnswerError, connected

BATCH_ITEMS = 10
# After a refusal, so that an outage does not fill the record with refusals.
REFUSED_PAUSE_SECONDS = 0.1


@dataclass
class Feed(History):
    """A feed that delivers, to any number of gates."""

    name: str
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

    async def _work(self, url: str, kind: str, stop: asyncio.Event, insists: bool) -> None:
        items = self._fresh_items(kind)
        try:
            async with connected(url, 1) as [connection]:
                while not stop.is_set():
                    is_refused = not (await self.post(url, connection, items, kind)).is_processed
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
