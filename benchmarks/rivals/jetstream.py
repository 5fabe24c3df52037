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
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.sharedctypes import RawArray
from pathlib import Path

import nats
import uvloop
from nats.aio.client import Client
from nats.js.api import PubAck, StorageType, StreamConfig

from benchmarks.common.bodies import pool_of
from benchmarks.common.gates import module
from benchmarks.common.ledger import WrongAnswerError
from benchmarks.common.load import load_as_ordered
from benchmarks.common.plan import FEEDS, Measure, Plan, Target, times_ms
from benchmarks.common.turns import Side
from tests.support.processes import free_port, wait_until

TITLE = "NATS JetStream with deduplication, its Python client publishing asynchronously"
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


def jetstream(processes: int) -> Side:
    """The server, with its publishers in so many processes."""
    title = f"{TITLE}, in three processes" if processes > 1 else TITLE
    loader = module("benchmarks.rivals.jetstream", str(processes))
    return Side(f"jetstream-{processes}", title, server, loader=loader)


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

    published: int = 0
    acknowledged: int = 0
    accepted: list[int] = field(default_factory=list)
    """The numbers of the transactions that were no duplicates."""
    took: list[float] = field(default_factory=list)
    """Seconds until some of the acknowledgements, in the time measured."""
    transactions: int = 0
    """Acknowledged in the time measured."""
    seconds: float = 0.0
    spent: dict[str, float] = field(default_factory=dict)
    is_over: bool = False

    async def measure(self, plan: Plan, target: Target) -> None:
        """Take the figures of the time after the warm-up, and end the publishing."""
        await asyncio.sleep(plan.warm_up_seconds)
        before, since, done = target.cpu_seconds(), time.perf_counter(), self.acknowledged
        self.took.clear()
        await asyncio.sleep(plan.seconds)
        self.is_over = True
        self.seconds, self.transactions = time.perf_counter() - since, self.acknowledged - done
        self.spent = target.spent_since(before)

    async def publish(self, client: Client, feed: int, bodies: Sequence[bytes]) -> None:
        """Publish as one feed until it is over, and wait for what is outstanding."""
        stream = client.jetstream(publish_async_max_pending=OUTSTANDING)
        waiting: deque[tuple[int, Acknowledgement]] = deque()
        number = 0
        while not self.is_over:
            for _ in range(STEP):
                header = {"Nats-Msg-Id": f"{number:088d}"}  # as long as a signature
                future = await stream.publish_async(SUBJECT, bodies[number % BODIES], headers=header)
                waiting.append((number, future))
                if number % TIMED_EVERY == 0:
                    future.add_done_callback(partial(self._time, time.perf_counter()))
                number += 1
            POSITIONS[feed] = number
            while waiting and waiting[0][1].done():
                self._note(*waiting.popleft())
            while number > min(POSITIONS) + AHEAD and not self.is_over:  # noqa: ASYNC110  others' feeds
                await asyncio.sleep(0.001)
        for late, future in waiting:
            await future
            self._note(late, future)
        self.published = max(self.published, number)

    def _time(self, since: float, _: Acknowledgement) -> None:
        self.took.append(time.perf_counter() - since)

    def _note(self, number: int, future: Acknowledgement) -> None:
        self.acknowledged += 1
        if not future.result().duplicate:
            self.accepted.append(number)


async def publish_share(plan: Plan, target: Target, feeds: Sequence[int]) -> Part:
    """Publish as some of the feeds."""
    bodies = [bytes(body.data) for body in pool_of(replace(plan, batch_items=1), BODIES, seed=1)]
    part, clients = Part(), [await _connected(target.port) for _ in feeds]
    publishing = (part.publish(client, feed, bodies) for client, feed in zip(clients, feeds, strict=True))
    await asyncio.gather(part.measure(plan, target), *publishing)
    for client in clients:
        await client.close()
    return part


def publish(plan: Plan, target: Target, processes: int) -> Measure:
    """Run all feeds, in so many processes.

    Raises:
        WrongAnswerError: a transaction was not accepted exactly once.
    """
    shares = [range(first, len(FEEDS), processes) for first in range(processes)]
    with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
        parts = list(pool.map(partial(_run_share, plan, target), shares))
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


def _run_share(plan: Plan, target: Target, feeds: Sequence[int]) -> Part:
    return uvloop.run(publish_share(plan, target, feeds))


if __name__ == "__main__":
    sys.exit(load_as_ordered(partial(publish, processes=int(sys.argv[1]))))
