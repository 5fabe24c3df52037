"""More load than memory has room for: real transactions as fast as they are answered, and a watch."""

import asyncio
import random
import time
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil

from tests.support.faulty_gates import store_processes
from tests.support.gate import GateProcess
from tests.support.payloads import Item, Payloads, body_of
from tests.support.wire import Connection, Reply, connected, request_bytes

BATCH_ITEMS = 50
REFUSED_PAUSE_SECONDS = 0.05
WATCH_SECONDS = 0.25
MEMORY_PROBLEMS = ("memory-pressure", "overloaded")
# Asked again and again while memory is short: these have to be served.
SERVED = (("GET", "/metrics"), ("GET", "/cleanup"), ("POST", "/cleanup"), ("GET", "/stats"))


@dataclass
class Storm:
    """Several feeds without mercy; each delivers a batch and then, as another source, the same again.

    An answer that breaks a law fails the block at its end.
    """

    url: str
    memo_bytes: int = 0
    """Bytes that do not compress, added to each transaction to fill memory sooner."""
    answers: Counter[str] = field(default_factory=Counter)
    readings: list[dict[str, Any]] = field(default_factory=list)

    @asynccontextmanager
    async def raging(self, workers: int = 3) -> AsyncIterator[None]:
        """Load and watch while the block runs."""
        stop = asyncio.Event()
        tasks = [asyncio.create_task(self._feed(number, stop)) for number in range(workers)]
        tasks.append(asyncio.create_task(self._watch(stop)))
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    @property
    def most_resident_bytes(self) -> int:
        """Resident bytes of gate and store together."""
        return max(int(reading["resident_bytes"]) for reading in self.readings)

    async def _feed(self, number: int, stop: asyncio.Event) -> None:
        payloads, noise = Payloads(number), random.Random(number)
        async with connected(self.url, 1) as [connection]:
            while not stop.is_set():
                items = [self._with_memo(item, noise) for item in payloads.items(BATCH_ITEMS)]
                first, again = [
                    await self._deliver(connection, items, f"feed-{side}-{number}") for side in "ab"
                ]
                _assert_once(first, again)
                if first.status == 200:
                    await self._assert_stored(connection, items[-1])

    async def _deliver(self, connection: Connection, items: list[Item], source: str) -> Reply:
        path = f"/transactions?source={source}"
        reply = await connection.ask(request_bytes("POST", path, body_of(items)))
        if reply.status == 200:
            self.answers["accepted"] += reply.json()["accepted"]
            self.answers["duplicate"] += reply.json()["duplicate"]
        else:
            # The guard refuses at its threshold; before that the room that is left may not do for a body.
            assert reply.assert_try_again()["type"].rpartition(":")[2] in MEMORY_PROBLEMS, reply
            self.answers["refused"] += BATCH_ITEMS
            await asyncio.sleep(REFUSED_PAUSE_SECONDS)
        return reply

    async def _assert_stored(self, connection: Connection, item: Item) -> None:
        """What was acknowledged last is there, byte for byte."""
        signature, data = item
        reply = await connection.get(f"/transactions/{signature}")
        assert reply.status == 200, reply
        payload = data.partition(b'"payload":')[2].removesuffix(b"}")
        assert payload in reply.body

    async def _watch(self, stop: asyncio.Event) -> None:
        started = time.monotonic()
        async with connected(self.url, 1) as [connection]:
            while not stop.is_set():
                for method, path in SERVED:
                    reply = await connection.ask(request_bytes(method, path))
                    assert reply.status == 200, (method, path, reply)
                stats = reply.json()
                resident = {one["name"]: one["rss_bytes"] for one in stats["memory"]["processes"]}
                self.readings.append(
                    {
                        "seconds": round(time.monotonic() - started, 2),
                        "level": stats["memory"]["level"],
                        "resident_bytes": sum(resident.values()),
                        **{f"{name}_rss_bytes": rss for name, rss in resident.items()},
                        "transactions": stats["maps"]["transactions"]["entries"],
                        "refused": self.answers["refused"],
                    }
                )
                await asyncio.sleep(WATCH_SECONDS)

    def _with_memo(self, item: Item, noise: random.Random) -> Item:
        signature, data = item
        if not self.memo_bytes:
            return item
        memo = b64encode(noise.randbytes(self.memo_bytes)).decode()
        return signature, data.replace(b'"payload":{', f'"payload":{{"memo":"{memo}",'.encode())


def store_pids(gate: GateProcess) -> list[int]:
    """The stores of a gate."""
    return [process.pid for process in store_processes(gate)]


def resident_bytes(gate: GateProcess) -> int:
    """Resident bytes of gate and store together."""
    processes = [psutil.Process(gate.process.pid), *store_processes(gate)]
    return sum(int(process.memory_info().rss) for process in processes)


def _assert_once(first: Reply, again: Reply) -> None:
    """Laws 1 and 2: of two deliveries the first that is not refused is the one accepted."""
    if first.status == 200:
        assert first.json()["accepted"] == BATCH_ITEMS, first
        assert again.status != 200 or again.json()["duplicate"] == BATCH_ITEMS, again
    else:
        assert again.status != 200 or again.json()["accepted"] == BATCH_ITEMS, again
