"""A closed-loop load: prepared requests, as fast as they are answered.

Three feeds deliver the same batches over connections of their own. A connection sends its next request when
the last one is answered. Run as a module it is a loader process (`loader_process.py`).
"""

import os
import sys
import time
from collections.abc import Iterator
from http import HTTPStatus

from benchmarks.common.bodies import pool_of
from benchmarks.common.deliveries import Deliveries, bodies_needed
from benchmarks.common.ledger import Ledger, WrongAnswerError
from benchmarks.common.loader import AT_ONCE, Loader, Post, Stream
from benchmarks.common.loader_process import load_as_ordered
from benchmarks.common.plan import ADDRESSES, FEEDS, Measure, Plan, Target
from benchmarks.common.times import times_ms


class Load:
    """Runs the plan."""

    def __init__(self, plan: Plan, target: Target) -> None:
        self._plan, self._target = plan, target
        pool = pool_of(plan, bodies_needed(plan), int.from_bytes(os.urandom(4)))
        self._item_bytes = len(pool[0].data) / plan.batch_items
        self._deliveries = Deliveries(pool, plan)
        self._ledger = Ledger(plan.batch_items, self._deliveries.copies_of)
        self._took: list[float] = []
        # By connection: the batch that is under way.
        self._batches = [-1] * plan.connections
        streams = [
            Stream(ADDRESSES[plan.form] + FEEDS[number % len(FEEDS)], self._posts(number))
            for number in range(plan.connections)
        ]
        self._loader = Loader(target.port, streams, self._take)

    def run(self) -> Measure:
        """Warm up, measure, deliver to the end, check."""
        self._run_for(self._plan.warm_up_seconds)
        self._took.clear()
        before, since = self._target.cpu_seconds(), time.monotonic()
        self._run_for(self._plan.seconds)
        seconds, took = time.monotonic() - since, list(self._took)
        spent = self._target.spent_since(before)
        self._deliveries.finish()
        self._loader.run(lambda: self._deliveries.is_over)
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

    def _run_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._loader.run(lambda: time.monotonic() >= until)

    def _posts(self, connection: int) -> Iterator[Post | None]:
        """What a connection sends: the next batch of its feed."""
        while True:
            taken = self._deliveries.take(connection % len(FEEDS))
            if taken is None:
                yield None
            else:
                self._batches[connection], body = taken
                yield AT_ONCE, body

    def _take(self, connection: int, since: float, status: int, answer: bytes) -> None:
        if status != HTTPStatus.OK:
            raise WrongAnswerError(f"status {status}: {answer[:300]!r}")
        self._took.append(time.monotonic() - since)
        self._deliveries.answered(self._batches[connection])
        if self._plan.is_verified:
            self._ledger.note(self._batches[connection], answer)


if __name__ == "__main__":
    sys.exit(load_as_ordered(lambda plan, target: Load(plan, target).run()))
