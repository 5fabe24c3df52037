"""The rows that put the gate and somebody else under the same load: transactions a second, times and CPU."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from statistics import median
from typing import NamedTuple

from benchmarks.bench.result import Case, Result, Wanted
from benchmarks.common.plan import LEAST_REQUESTS, Measure, Plan
from benchmarks.common.turns import (
    BARE,
    HAND_WRITTEN,
    LONE,
    LONE_SIDES,
    NOTHING,
    SMALL,
    STEADY,
    TIDEGATE,
    Rounds,
    Side,
    compare,
    gate,
)
from benchmarks.rivals.jetstream import jetstream

ENHANCED = Plan("enhanced", batch_items=50, connections=6, behind=(250, 1000), warm_up_seconds=1.5)
SINGLE = Plan("small", batch_items=1, connections=64, behind=(150, 600), warm_up_seconds=1.5)
DOCUMENTS = replace(ENHANCED, form="documents")
# A provider has one connection for blocks, and sends the next one when the last one is answered.
BLOCK = Plan("block", batch_items=1000, connections=3, behind=(1000, 3000), warm_up_seconds=1.5, form="block")
# How many times the work of one worker two have to do, and connections enough to reach both of them.
TIMES, WORKERS_CONNECTIONS = 1.6, 24

Bounds = Sequence[tuple[Side, float | None]]
"""Who is compared with, and what is wanted; None for a row that is there for comparison only."""


def told(measures: Sequence[Measure]) -> str:
    """The median rate, and the CPU of each part for a transaction."""
    rate = median(measure.rate for measure in measures)
    spent = (f"{part} {median(one.cpu_us(part) for one in measures):.3g}" for part in measures[0].cpu_seconds)
    return f"{rate:,.0f}/s, CPU µs each: {' + '.join(spent)}"


def told_times(measures: Sequence[Measure]) -> str:
    """The medians of the times and of the CPU, and how often the rate was kept, where that was not always."""
    times = " / ".join(f"{median(one.times_ms[name] for one in measures):.2f}" for name in LEAST_REQUESTS)
    kept = sum(one.is_kept for one in measures)
    behind = "" if kept == len(measures) else f", kept up {kept} times of {len(measures)}"
    spent = median(map(post_us, measures))
    return f"p50 / p99 / p99.9 {times} ms, {spent:.0f} µs of CPU a post{behind}"


def rate(measure: Measure) -> float:
    """Transactions a second."""
    return measure.rate


def post_us(measure: Measure) -> float:
    """CPU microseconds of gate and store for a post."""
    return measure.cpu_us("gate", "store")


class Beside(NamedTuple):
    """The rounds of two sides that took turns."""

    taken: Rounds
    ours: Side
    theirs: Side

    def row(
        self,
        work: str,
        bound: float | None,
        of: Callable[[Measure], float] = rate,
        tell: Callable[[Sequence[Measure]], str] = told,
    ) -> Result:
        """The ratio of a figure, round by round; the rate has to be high, every other one low."""
        ours, theirs = self.taken[self.ours.name], self.taken[self.theirs.name]
        ratios = [of(one) / of(other) for one, other in zip(ours, theirs, strict=True)]
        details = {side.name: [one.figures() for one in self.taken[side.name]] for side in self[1:]}
        remark = f"{tell(ours)}; against: {tell(theirs)}"
        wanted: Wanted = "at least" if of is rate else "at most"
        return Result(work, self.theirs.title, wanted, bound, "×", ratios, details, remark)


def under(plan: Plan, work: str, bounds: Bounds, ours: Side = TIDEGATE) -> Case:
    """A case that puts our side and others under the same load."""

    def run(pairs: int, seconds: float) -> list[Result]:
        sides = [ours, *(side for side, _ in bounds)]
        taken = compare(sides, replace(plan, seconds=seconds), pairs)
        return [Beside(taken, ours, side).row(work, bound) for side, bound in bounds]

    return run


def _through_feeds(plan: Plan, work: str) -> Case:
    items = gate("items", "the same as items", {"form": "items"})
    return under(plan, f"{work} through `/feeds`, three feeds", [(items, 0.8)], gate("feeds"))


batches_small = under(
    SMALL,
    "batches of 500 × 0.65 KB, three feeds (2/3 duplicates)",
    [(HAND_WRITTEN, 10.0), (jetstream(processes=1), 5.0), (jetstream(processes=3), None)],
)
batches_enhanced = under(
    ENHANCED, "batches of 50 real enhanced transactions (5.5 KB), three feeds", [(HAND_WRITTEN, 4.0)]
)
singles = under(
    SINGLE, "single posts, 64 connections, three feeds", [(HAND_WRITTEN, 6.0), (BARE, 0.5), (NOTHING, None)]
)
FEEDS = (
    _through_feeds(DOCUMENTS, "arrays of 50 real enhanced transactions (5.5 KB)"),
    _through_feeds(replace(DOCUMENTS, payload="raw"), "arrays of 50 real raw transactions (5.2 KB)"),
    _through_feeds(BLOCK, "blocks of 1,000 real transactions (4.6 MB)"),
)


def feeds(pairs: int, seconds: float) -> list[Result]:
    """What providers send, through `/feeds`, beside the same as items through `/transactions`."""
    return [one for case in FEEDS for one in case(pairs, seconds)]


def latency(pairs: int, seconds: float) -> list[Result]:
    """Posts over one connection, then 1,000 a second over 16, to the same four sides."""
    alone = compare(LONE_SIDES, replace(LONE, seconds=seconds), pairs)
    steady = compare(LONE_SIDES, replace(STEADY, seconds=seconds), pairs)
    work = "single posts over one connection"
    at_rate = f"{STEADY.per_second:,} single posts a second over {STEADY.connections} connections, open loop"

    def times(taken: Rounds, name: str, work: str, bound: float) -> Iterator[Result]:
        """A row for each rival; the hand-written service is what is judged."""
        for side in LONE_SIDES[1:]:
            wanted = bound if side is HAND_WRITTEN else None
            yield Beside(taken, TIDEGATE, side).row(work, wanted, lambda one: one.times_ms[name], told_times)

    cpu = f"{work}: CPU of gate and store a post"
    return [
        *times(alone, "p50_ms", f"{work}: p50", 0.55),
        Beside(alone, TIDEGATE, HAND_WRITTEN).row(cpu, None, post_us, told_times),
        *times(steady, "p99_ms", f"{at_rate}: p99", 0.6),
    ]


def workers(pairs: int, seconds: float) -> list[Result]:
    """Two workers beside one: the ratio of rates, judged where there are cores for it, and that of CPU."""
    sides = gate("two workers", workers=2), gate("one worker", "one worker", workers=1)
    taken = compare(sides, replace(SMALL, connections=WORKERS_CONNECTIONS, seconds=seconds), pairs)
    # What this machine has to have is 1.6 times what one worker, its store and its loader take.
    needed = TIMES * median(sum(one.cpu_seconds.values()) / one.seconds for one in taken["one worker"])
    bound = TIMES if needed <= (os.cpu_count() or 1) else None
    both, work = Beside(taken, *sides), "batches, two workers"
    spent = both.row(f"{work}: gate CPU a transaction", None, lambda one: one.cpu_us("gate"))
    remark = f"{told(taken['two workers'])}; at 1.25 × two workers do 1.6 × where there are cores"
    return [both.row(work, bound), replace(spent, remark=remark)]
