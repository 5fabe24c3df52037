"""A closed-loop load: prepared requests over raw sockets, as fast as they are answered.

Three feeds deliver the same batches over connections of their own. A connection sends its next request when
the last one is answered. Run as a module it is a loader process (`loader_process.py`).
"""

import os
import re
import select
import socket
import sys
import time
from collections.abc import Callable
from http import HTTPStatus

from benchmarks.common.bodies import pool_of
from benchmarks.common.deliveries import Deliveries, bodies_needed
from benchmarks.common.ledger import Ledger, WrongAnswerError
from benchmarks.common.loader_process import load_as_ordered
from benchmarks.common.plan import ADDRESSES, FEEDS, Measure, Plan, Target
from benchmarks.common.times import times_ms

SILENCE_SECONDS = 20.0
_HEAD = re.compile(
    rb"HTTP/1\.1 (\d+) .*?\r\ncontent-length: (\d+)\r\n(?:.*?\r\n)?\r\n", re.IGNORECASE | re.DOTALL
)


class Channel:
    """One keep-alive connection of one feed, with at most one request under way."""

    def __init__(self, port: int, feed: int, address: str) -> None:
        self.feed, self.batch, self.since = feed, -1, 0.0
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self._head = (
            f"POST {address}{FEEDS[feed]} HTTP/1.1\r\nHost: gate\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self._unsent = memoryview(b"")
        self._read = b""

    def start(self, batch: int, body: bytearray) -> bool:
        """Send a request; True when all is sent, else the rest goes with `send_more`."""
        self.batch, self.since, self._read = batch, time.perf_counter(), b""
        head = b"%b%d\r\n\r\n" % (self._head, len(body))
        sent = self.socket.sendmsg([head, body])
        self._unsent = memoryview(body)[max(0, sent - len(head)) :]
        return not self._unsent

    def send_more(self) -> bool:
        """Send on; True when all is sent."""
        if self._unsent:
            self._unsent = self._unsent[self.socket.send(self._unsent) :]
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
        pool = pool_of(plan, bodies_needed(plan), int.from_bytes(os.urandom(4)))
        self._item_bytes = len(pool[0].data) / plan.batch_items
        self._deliveries = Deliveries(pool, plan)
        self._ledger = Ledger(plan.batch_items, self._deliveries.copies_of)
        self._took: list[float] = []
        self._parked: list[Channel] = []
        self._poll = select.epoll()
        address = ADDRESSES[plan.form]
        made = (Channel(target.port, number % len(FEEDS), address) for number in range(plan.connections))
        self._channels = {channel.socket.fileno(): channel for channel in made}

    def run(self) -> Measure:
        """Warm up, measure, deliver to the end, check."""
        for descriptor, channel in self._channels.items():
            self._poll.register(descriptor, select.EPOLLIN)
            self._parked.append(channel)
        started = time.perf_counter()
        self._go_on(lambda: time.perf_counter() >= started + self._plan.warm_up_seconds)
        self._took.clear()
        before, since = self._target.cpu_seconds(), time.perf_counter()
        self._go_on(lambda: time.perf_counter() >= since + self._plan.seconds)
        seconds, took = time.perf_counter() - since, list(self._took)
        spent = self._target.spent_since(before)
        self._deliveries.finish()
        self._go_on(lambda: self._deliveries.is_over)
        if self._plan.is_verified:
            self._ledger.close()
        if not took:
            raise WrongAnswerError("nothing was answered in the time measured")
        return Measure(
            seconds=seconds,
            transactions=len(took) * self._plan.batch_items,
            requests=len(took),
            times_ms=times_ms(took),
            machine_seconds=spent.pop("machine"),
            cpu_seconds=spent,
            checked_transactions=self._ledger.complete * self._plan.batch_items,
            item_bytes=self._item_bytes,
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
        if not channel.start(*taken):
            self._poll.modify(channel.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)
        return True


if __name__ == "__main__":
    sys.exit(load_as_ordered(lambda plan, target: Load(plan, target).run()))
