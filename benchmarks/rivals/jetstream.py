"""NATS JetStream with `duplicate_window` in memory, loaded by its Python client publishing asynchronously.

There is no HTTP here and nobody else in between: the publisher is the loader. Three feeds publish the same
transactions, each over a connection of its own, with a `Nats-Msg-Id` as long as a signature and as many
publishes outstanding as served it best (of 100 to 20,000, with little difference). The server could do more
than one Python process gives it, so the feeds are run in one process, and again in a process each.

It does not have: limits with a stated end, who saw what when, compressed blocks, lookup by signature.
Run as a module, with a number of processes, it is a loader process like `benchmarks.common.load`.
"""

import asyncio
import ctypes
import multiprocessing
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import NamedTuple

import nats
import uvloop
from nats.aio.client import Client
from nats.js.api import PubAck, StorageType, StreamConfig

from benchmarks.common.bodies import pool_of
from benchmarks.common.ledger import WrongAnswerError
from benchmarks.common.loader_process import load_as_ordered
from benchmarks.common.plan import FEEDS, Measure, Plan, Target
from benchmarks.common.times import times_ms
from tests.support.processes import free_port, wait_until

SUBJECT = "transactions.new"
STREAM = StreamConfig("transactions", subjects=[SUBJECT], storage=StorageType.MEMORY)
STREAM.duplicate_window, STREAM.max_age = 5, 120
OUTSTANDING = 2000
# A feed is never further ahead of the slowest, so that every copy comes within the window.
AHEAD = 8000
BODIES = 4096
STEP, TIMED_EVERY = 100, 64
PATIENCE_SECONDS = 20
# How many each feed has published, seen by all processes.
POSITIONS = RawArray(ctypes.c_int64, len(FEEDS))

Acknowledgement = asyncio.Future[PubAck]


@contextmanager
def server() -> Iterator[Target]:
    """A NATS server with JetStream and the stream in it."""
    port, program = free_port(), Path(sys.executable).with_name("nats-server")
    with tempfile.TemporaryDirectory(prefix="bench-nats-") as folder:
        command = program, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder, "-l", f"{folder}/log"
        process = subprocess.Popen(command)
        try:
            if not wait_until(partial(_listens, port), PATIENCE_SECONDS):
                raise OSError(f"nats-server does not listen:\n{Path(folder, 'log').read_text()[-1500:]}")
            asyncio.run(_make_stream(port))
            yield Target(port, {"gate": [process.pid]})
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _make_stream(port: int) -> None:
    client = await _connected(port)
    await client.jetstream().add_stream(STREAM)
    await client.close()


async def _connected(port: int) -> Client:
    return await nats.connect(f"nats://127.0.0.1:{port}", allow_reconnect=False)


class Part(NamedTuple):
    """What one process did."""

    seconds: float
    transactions: int
    spent: dict[str, float]
    took: list[float]
    published: int
    accepted: list[int]
    """The numbers of the transactions that were no duplicates."""


class Publisher:
    """Some of the feeds, in one process."""

    def __init__(self, plan: Plan, target: Target, feeds: Sequence[int]) -> None:
        self._plan, self._target, self._feeds = plan, target, feeds
        self._bodies = [bytes(body.data) for body in pool_of(replace(plan, batch_items=1), BODIES, seed=1)]
        self._is_over = False
        self._acknowledged = self._published = 0
        self._took: list[float] = []
        self._accepted: list[int] = []

    async def run(self) -> Part:
        """Warm up, measure, wait for what is outstanding."""
        clients = [await _connected(self._target.port) for _ in self._feeds]
        feeds = (self._publish(client, feed) for client, feed in zip(clients, self._feeds, strict=True))
        measuring = asyncio.create_task(self._measure())
        await asyncio.gather(measuring, *feeds)
        for client in clients:
            await client.close()
        return Part(*measuring.result(), self._took, self._published, self._accepted)

    async def _measure(self) -> tuple[float, int, dict[str, float]]:
        """Measure seconds, transactions acknowledged in them, and the CPU they took."""
        await asyncio.sleep(self._plan.warm_up_seconds)
        before, since, done = self._target.cpu_seconds(), time.perf_counter(), self._acknowledged
        self._took.clear()
        await asyncio.sleep(self._plan.seconds)
        self._is_over = True
        return time.perf_counter() - since, self._acknowledged - done, self._target.spent_since(before)

    async def _publish(self, client: Client, feed: int) -> None:
        stream = client.jetstream(publish_async_max_pending=OUTSTANDING)
        waiting: deque[tuple[int, Acknowledgement]] = deque()
        number, bodies = 0, self._bodies
        while not self._is_over:
            for _ in range(STEP):
                header = {"Nats-Msg-Id": f"{number:088d}"}  # as long as a signature
                future = await stream.publish_async(SUBJECT, bodies[number % BODIES], headers=header)
                waiting.append((number, future))
                if number % TIMED_EVERY == 0:
                    future.add_done_callback(self._timer())
                number += 1
            POSITIONS[feed] = number
            while waiting and waiting[0][1].done():
                self._note(*waiting.popleft())
            while number > min(POSITIONS) + AHEAD and not self._is_over:  # noqa: ASYNC110  others' feeds
                await asyncio.sleep(0.001)
        for late, future in waiting:
            await future
            self._note(late, future)
        self._published = max(self._published, number)

    def _timer(self) -> Callable[[Acknowledgement], None]:
        since = time.perf_counter()
        return lambda _: self._took.append(time.perf_counter() - since)

    def _note(self, number: int, future: Acknowledgement) -> None:
        self._acknowledged += 1
        if not future.result().duplicate:
            self._accepted.append(number)


def publish(plan: Plan, target: Target, processes: int) -> Measure:
    """Run all feeds, in so many processes.

    Raises:
        WrongAnswerError: a transaction was not accepted exactly once.
    """
    shares = [range(first, len(FEEDS), processes) for first in range(processes)]
    with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
        parts = list(pool.map(partial(_publish_share, plan, target), shares))
    published = max(part.published for part in parts)
    accepted = [number for part in parts for number in part.accepted]
    if len(accepted) != published or len(set(accepted)) != published:
        raise WrongAnswerError(f"{len(accepted)} accepted of {published}, {len(set(accepted))} different")
    transactions, spent = sum(part.transactions for part in parts), parts[0].spent
    return Measure(
        seconds=max(part.seconds for part in parts),
        transactions=transactions,
        requests=transactions,
        times_ms=times_ms([seconds for part in parts for seconds in part.took]),
        machine_seconds=spent["machine"],
        cpu_seconds={"gate": spent["gate"], "loader": sum(part.spent["loader"] for part in parts)},
        checked_transactions=published,
    )


def _publish_share(plan: Plan, target: Target, feeds: Sequence[int]) -> Part:
    return uvloop.run(Publisher(plan, target, feeds).run())


if __name__ == "__main__":
    sys.exit(load_as_ordered(partial(publish, processes=int(sys.argv[1]))))
