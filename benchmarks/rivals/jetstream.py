"""NATS JetStream with `duplicate_window` in memory, loaded by its Python client publishing asynchronously.

There is no HTTP here and nobody else in between: the publisher is the loader. Three feeds publish the same
transactions, each over a connection of its own, with a `Nats-Msg-Id` as long as a signature and as many
publishes outstanding as served it best (of 100 to 20,000, with little difference). The server could do more
than one Python process gives it, so the feeds are run in one process, and again in a process each.

It does not have: limits with a stated end, who saw what when, compressed blocks, lookup by signature.
Run as a module, with a number of processes, it is a loader process like `benchmarks.common.closed_loop`.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.sharedctypes import RawArray
from multiprocessing.synchronize import Barrier
from pathlib import Path

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


@dataclass
class Part:
    """What one process did."""

    seconds: float = 0.0
    transactions: int = 0
    spent: dict[str, float] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    published: int = 0
    accepted: list[int] = field(default_factory=list)
    """The numbers of the transactions that were no duplicates."""


class Publisher:
    """Some of the feeds, in one process."""

    def __init__(
        self, plan: Plan, target: Target, feeds: list[int], positions: "ctypes.Array[ctypes.c_int64]"
    ) -> None:
        self._plan, self._target, self._feeds, self._positions = plan, target, feeds, positions
        self._bodies = [bytes(body.data) for body in pool_of(replace(plan, batch_items=1), BODIES, seed=1)]
        self._acknowledged, self._is_over = 0, False
        self._part = Part()

    async def run(self, barrier: Barrier) -> Part:
        """Warm up, measure, wait for what is outstanding."""
        clients = [await _connected(self._target.port) for _ in self._feeds]
        barrier.wait(PATIENCE_SECONDS)
        feeds = (self._publish(client, feed) for client, feed in zip(clients, self._feeds, strict=True))
        await asyncio.gather(self._measure(), *feeds)
        for client in clients:
            await client.close()
        return self._part

    async def _measure(self) -> None:
        part = self._part
        await asyncio.sleep(self._plan.warm_up_seconds)
        before, since, done = self._target.cpu_seconds(), time.perf_counter(), self._acknowledged
        part.took.clear()
        await asyncio.sleep(self._plan.seconds)
        part.seconds, part.spent = time.perf_counter() - since, self._target.spent_since(before)
        part.transactions, self._is_over = self._acknowledged - done, True

    async def _publish(self, client: Client, feed: int) -> None:
        stream = client.jetstream(publish_async_max_pending=OUTSTANDING)
        waiting: deque[tuple[int, Acknowledgement]] = deque()
        number, positions, bodies = 0, self._positions, self._bodies
        while not self._is_over:
            for _ in range(STEP):
                header = {"Nats-Msg-Id": f"{number:088d}"}  # as long as a signature
                future = await stream.publish_async(SUBJECT, bodies[number % BODIES], headers=header)
                waiting.append((number, future))
                if number % TIMED_EVERY == 0:
                    future.add_done_callback(self._timer())
                number += 1
            positions[feed] = number
            while waiting and waiting[0][1].done():
                self._note(*waiting.popleft())
            while number > min(positions) + AHEAD and not self._is_over:  # noqa: ASYNC110  others' feeds
                await asyncio.sleep(0.001)
        for late, future in waiting:
            await future
            self._note(late, future)
        self._part.published = max(self._part.published, number)

    def _timer(self) -> Callable[[Acknowledgement], None]:
        since = time.perf_counter()
        return lambda _: self._part.took.append(time.perf_counter() - since)

    def _note(self, number: int, future: Acknowledgement) -> None:
        self._acknowledged += 1
        if not future.result().duplicate:
            self._part.accepted.append(number)


def publish(plan: Plan, target: Target, processes: int) -> Measure:
    """Run all feeds, in so many processes.

    Raises:
        WrongAnswerError: a transaction was not accepted exactly once.
    """
    context, positions = multiprocessing.get_context("fork"), RawArray(ctypes.c_int64, len(FEEDS))
    barrier, results = context.Barrier(processes), context.Queue()

    def work(feeds: list[int]) -> None:
        results.put(uvloop.run(Publisher(plan, target, feeds, positions).run(barrier)))

    shares = [list(range(first, len(FEEDS), processes)) for first in range(processes)]
    children = [context.Process(target=partial(work, share), daemon=True) for share in shares]
    for child in children:
        child.start()
    allowed = plan.warm_up_seconds + plan.seconds + PATIENCE_SECONDS
    parts = [results.get(timeout=allowed) for _ in children]
    for child in children:
        child.join(PATIENCE_SECONDS)
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


if __name__ == "__main__":
    sys.exit(load_as_ordered(partial(publish, processes=int(sys.argv[1]))))
