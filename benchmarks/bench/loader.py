"""The load of the throughput rows: prepared requests over raw sockets, in a process of its own.

Three feeds deliver the same batches over connections of their own, the second and the third somewhat later
than the first. A connection sends its next request when the last one is answered. Reads an order on its
standard input, prints a measure as JSON.
"""

import gc
import json
import os
import re
import select
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from statistics import quantiles

import psutil

from benchmarks.bench.bodies import Body, pool_of
from benchmarks.bench.ledger import FEEDS, Ledger, WrongAnswerError
from benchmarks.bench.plan import Measure, Order, Plan, Target

SOURCES = ("helius-a", "quicknode-b", "grpc-c")
SILENCE_SECONDS = 20.0
_HEAD = re.compile(
    rb"HTTP/1\.1 (\d+) .*?\r\ncontent-length: (\d+)\r\n(?:.*?\r\n)?\r\n", re.IGNORECASE | re.DOTALL
)


class Deliveries:
    """Which batch each feed delivers next; a body is made fresh once every feed has been answered."""

    def __init__(self, pool: list[Body], behind: tuple[int, ...]) -> None:
        self._pool, self._behind = pool, behind
        self._next = [0] * FEEDS
        self._answered: dict[int, int] = {}
        self._end: int | None = None

    def take(self, feed: int) -> tuple[int, bytearray] | None:
        """The next batch of a feed and its body; None while there is none to deliver."""
        number = self._next[feed]
        generation, place = divmod(number, len(self._pool))
        if self._end is not None:
            if number >= self._end:
                return None
        elif number + self._behind[feed] > self._next[0] or number - len(self._pool) in self._answered:
            return None
        self._next[feed] += 1
        if number not in self._answered:
            self._answered[number] = 0
            self._pool[place].renew(generation)
        return number, self._pool[place].data

    def answered(self, number: int) -> None:
        """One feed got its answer."""
        self._answered[number] += 1
        if self._answered[number] == FEEDS:
            del self._answered[number]

    def finish(self) -> None:
        """Begin no further batch; those begun are delivered by every feed."""
        self._end = max(self._next)

    @property
    def is_over(self) -> bool:
        """Whether everything was answered."""
        return self._end is not None and min(self._next) >= self._end and not self._answered


class Channel:
    """One keep-alive connection of one feed, with at most one request under way."""

    def __init__(self, port: int, feed: int) -> None:
        self.feed, self.batch, self.since = feed, -1, 0.0
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self._head = (
            f"POST /transactions?source={SOURCES[feed]} HTTP/1.1\r\nHost: gate\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self._unsent = memoryview(b"")
        self._read = b""

    def start(self, batch: int, body: bytearray) -> None:
        """Send a request; what does not fit goes with `send_more`."""
        self.batch, self.since, self._read = batch, time.perf_counter(), b""
        head = b"%b%d\r\n\r\n" % (self._head, len(body))
        sent = self.socket.sendmsg([head, body])
        self._unsent = memoryview(body)[max(0, sent - len(head)) :]

    def send_more(self) -> bool:
        """Send on; True when all is sent."""
        if self._unsent:
            self._unsent = self._unsent[self.socket.send(self._unsent) :]
        return not self._unsent

    @property
    def is_sent(self) -> bool:
        """Whether the whole request is on its way."""
        return not self._unsent

    def receive(self) -> tuple[int, bytes] | None:
        """Status and body of the answer, once it is there."""
        read = self.socket.recv(65536)
        if not read:
            raise WrongAnswerError(f"the connection was closed: {self._read[:300]!r}")
        self._read = self._read + read if self._read else read
        head = _HEAD.match(self._read)
        if head is None or len(self._read) < head.end() + int(head[2]):
            return None
        return int(head[1]), self._read[head.end() :]


class Load:
    """Runs the plan."""

    def __init__(self, plan: Plan, target: Target) -> None:
        self._plan, self._target = plan, target
        behind = (0, *(number // plan.batch_items for number in plan.behind))
        pool = pool_of(plan.kind, plan.batch_items, max(behind) * 2 + 8, int.from_bytes(os.urandom(4)))
        self._deliveries = Deliveries(pool, behind)
        self._ledger = Ledger(plan.batch_items)
        self._took: list[float] = []
        self._parked: list[Channel] = []
        self._poll = select.epoll()
        made = (Channel(target.port, number % FEEDS) for number in range(plan.connections))
        self._channels = {channel.socket.fileno(): channel for channel in made}

    def run(self) -> Measure:
        """Warm up, measure, deliver to the end, check."""
        for descriptor, channel in self._channels.items():
            self._poll.register(descriptor, select.EPOLLIN)
            self._parked.append(channel)
        started = time.perf_counter()
        self._go_on(lambda: time.perf_counter() >= started + self._plan.warm_up_seconds)
        self._took.clear()
        before, since = cpu_of(self._target), time.perf_counter()
        self._go_on(lambda: time.perf_counter() >= since + self._plan.seconds)
        seconds, took = time.perf_counter() - since, list(self._took)
        spent = spent_since(before, self._target)
        self._deliveries.finish()
        self._go_on(lambda: self._deliveries.is_over)
        if self._plan.is_verified:
            self._ledger.close()
        if not took:
            raise WrongAnswerError("nothing was answered in the time measured")
        p50, p99 = percentiles_ms(took)
        return Measure(
            seconds=seconds,
            transactions=len(took) * self._plan.batch_items,
            requests=len(took),
            p50_ms=p50,
            p99_ms=p99,
            machine_seconds=spent.pop("machine"),
            cpu_seconds=spent,
            checked_transactions=self._ledger.complete * self._plan.batch_items,
        )

    def _go_on(self, is_done: Callable[[], bool]) -> None:
        while not is_done():
            self._start_parked()
            events = self._poll.poll(SILENCE_SECONDS)
            if not events:
                raise WrongAnswerError(f"no answer for {SILENCE_SECONDS:g} s")
            for descriptor, event in events:
                channel = self._channels[descriptor]
                if event & select.EPOLLOUT and channel.send_more():
                    self._poll.modify(descriptor, select.EPOLLIN)
                if event & ~select.EPOLLOUT:
                    self._take_answer(channel)

    def _take_answer(self, channel: Channel) -> None:
        received = channel.receive()
        if received is None:
            return
        status, answer = received
        if status != HTTPStatus.OK:
            raise WrongAnswerError(f"status {status}: {answer[:300]!r}")
        self._took.append(time.perf_counter() - channel.since)
        self._deliveries.answered(channel.batch)
        if self._plan.is_verified:
            self._ledger.note(channel.batch, answer)
        if not self._start(channel):
            self._parked.append(channel)

    def _start_parked(self) -> None:
        if self._parked:
            self._parked = [channel for channel in self._parked if not self._start(channel)]

    def _start(self, channel: Channel) -> bool:
        taken = self._deliveries.take(channel.feed)
        if taken is None:
            return False
        channel.start(*taken)
        if not channel.is_sent:
            self._poll.modify(channel.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)
        return True


def percentiles_ms(took: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile of seconds, in milliseconds."""
    cuts = quantiles(took, n=100) if len(took) > 1 else took * 99
    return cuts[49] * 1000, cuts[98] * 1000


def cpu_of(target: Target) -> dict[str, float]:
    """CPU seconds each part has used so far, this process as `loader`, and the whole `machine`."""
    parts = {part: sum(map(_spent, pids)) for part, pids in target.processes.items()}
    times = psutil.cpu_times()
    idle = times.idle + times.iowait + times.guest + times.guest_nice  # user time has the guests in it
    return parts | {"loader": time.process_time(), "machine": sum(times) - idle}


def spent_since(before: dict[str, float], target: Target) -> dict[str, float]:
    """What each has used since `cpu_of` answered `before`."""
    return {part: after - before[part] for part, after in cpu_of(target).items()}


def _spent(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def main() -> int:
    """Run the order on the standard input."""
    order = Order.read()
    load = Load(order.plan, order.target)
    gc.freeze()
    gc.disable()
    try:
        print(json.dumps(asdict(load.run())))
    except (WrongAnswerError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
