"""The load of a plan: prepared requests in a closed loop or at a constant rate, and true answers to them.

Three feeds deliver the same batches over connections of their own. In a closed loop a connection sends its
next request when the last one is answered. At a constant rate each request is due at a time of its own, the
connections in turn, and its answer is timed from then: waiting for the request before it counts.

Run as a module it is a loader process, so that what measures it does not slow it down: it reads its plan and
its target as JSON from its standard input and prints its measure as JSON.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from itertools import count

import msgspec

from benchmarks.common.background import punctual
from benchmarks.common.bodies import pool_of
from benchmarks.common.deliveries import Deliveries, bodies_needed
from benchmarks.common.ledger import Ledger, WrongAnswerError
from benchmarks.common.loader import AT_ONCE, Loader, Post, Stream
from benchmarks.common.plan import ADDRESSES, FEEDS, Measure, Plan, Target, times_ms
from benchmarks.common.results import say

LOAD = (sys.executable, "-m", "benchmarks.common.load")
SPARE_SECONDS = 60.0
# A service that is further behind than this at the end of a load does not keep up with it.
LATE_SECONDS = 1.0


class MeasurementError(Exception):
    """A side could not be measured; says why."""


def run_loader(plan: Plan, target: Target, command: Sequence[str] = LOAD) -> Measure:
    """Run a loader process to its end, and tell what it measured.

    Raises:
        MeasurementError: it failed, or found an answer that is not true.
    """
    orders, allowed = msgspec.json.encode((plan, target)), plan.warm_up_seconds + plan.seconds + SPARE_SECONDS
    try:
        ran = subprocess.run(command, input=orders, capture_output=True, timeout=allowed, check=False)
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"the load did not end within {allowed:g} s") from None
    if ran.returncode:
        raise MeasurementError(ran.stderr.decode().strip()[-1500:] or f"it ended with {ran.returncode}")
    measure = msgspec.json.decode(ran.stdout, type=Measure)
    say(f"    {measure.line}")
    return measure


def load_as_ordered(load: Callable[[Plan, Target], Measure]) -> int:
    """Be the loader process: run the load that the standard input orders; the exit code."""
    plan, target = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[Plan, Target])
    punctual()
    try:
        sys.stdout.buffer.write(msgspec.json.encode(load(plan, target)))
    except (WrongAnswerError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


class Load:
    """Runs the plan."""

    def __init__(self, plan: Plan, target: Target) -> None:
        self._plan, self._target = plan, target
        pool = pool_of(plan, bodies_needed(plan), int.from_bytes(os.urandom(4)))
        self._item_bytes = len(pool[0].data) / plan.batch_items
        self._deliveries = Deliveries(pool, plan)
        self._ledger = Ledger(plan.batch_items)
        # Of each answer: when its request was due (sent, in a closed loop), and the seconds from then on.
        self._took: list[tuple[float, float]] = []
        self._begins = 0.0
        # By connection: the batch that is under way, and when the request is due that was taken last.
        self._batches = [-1] * plan.connections
        self._due = [AT_ONCE] * plan.connections
        address = ADDRESSES[plan.form]
        streams = [
            Stream(address and address + FEEDS[number % len(FEEDS)], self._posts(number))
            for number in range(plan.connections)
        ]
        self._loader = Loader(target.port, streams, self._take)

    def run(self) -> Measure:
        """Warm up, measure, deliver to the end, check."""
        plan, self._begins = self._plan, time.monotonic()
        self._run_for(plan.warm_up_seconds)
        self._took.clear()
        before, since = self._target.cpu_seconds(), time.monotonic()
        self._run_for(plan.seconds)
        until, took = time.monotonic(), list(self._took)
        spent = self._target.spent_since(before)
        is_kept = not plan.per_second or self._answers_all_due(until)
        if plan.per_second and is_kept:
            took = [one for one in self._took if since <= one[0] < until]
        self._deliveries.finish()
        self._loader.run(lambda: self._deliveries.is_over)
        if not took:
            raise WrongAnswerError("nothing was answered in the time measured")
        return Measure(
            seconds=until - since,
            transactions=len(took) * plan.batch_items,
            requests=len(took),
            times_ms=times_ms([seconds for _, seconds in took]),
            machine_seconds=spent.pop("machine"),
            cpu_seconds=spent,
            checked_transactions=self._ledger.complete * plan.batch_items,
            item_bytes=self._item_bytes,
            is_kept=is_kept,
        )

    def _run_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._loader.run(lambda: time.monotonic() >= until)

    def _answers_all_due(self, until: float) -> bool:
        """Go on until all that was due by then is answered; whether that is so before it is late.

        A connection's next request is taken when the last one is answered, so these are answered as soon as
        each connection has taken one that is due later.
        """
        self._loader.run(lambda: min(self._due) >= until or time.monotonic() > until + LATE_SECONDS)
        return min(self._due) >= until

    def _posts(self, connection: int) -> Iterator[Post | None]:
        """What a connection sends: the next batch of its feed."""
        rate, connections = self._plan.per_second, self._plan.connections
        for number in count(connection, connections):
            while (taken := self._deliveries.take(connection % len(FEEDS))) is None:
                yield None
            self._batches[connection], body = taken
            self._due[connection] = self._begins + number / rate if rate else AT_ONCE
            yield self._due[connection], body

    def _take(self, connection: int, due: float, status: int, answer: bytes) -> None:
        if status != HTTPStatus.OK:
            raise WrongAnswerError(f"status {status}: {answer[:300]!r}")
        self._took.append((due, time.monotonic() - due))
        is_last = self._deliveries.answered(self._batches[connection])
        if self._plan.is_verified:
            self._ledger.note(self._batches[connection], answer, is_last=is_last)


if __name__ == "__main__":
    sys.exit(load_as_ordered(lambda plan, target: Load(plan, target).run()))
