"""The rows about transactions a second, duplicates counted: batches, singles, feeds, and two workers."""

import os
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from benchmarks.bench.result import Result
from benchmarks.common.gates import module
from benchmarks.common.loader_process import run_loader
from benchmarks.common.plan import Measure, Plan
from benchmarks.common.rounds import Rounds, Side, gate, rival, rounds
from benchmarks.rivals.jetstream import server

# Four connections a feed for small transactions, two for real ones: it sends on while it waits for answers.
# The second and the third feed are some 30 and 120 ms behind the first, at the rates measured.
SMALL = Plan("small", batch_items=500, connections=12, behind=(1500, 6000), warm_up_seconds=1.5)
ENHANCED = Plan("enhanced", batch_items=50, connections=6, behind=(250, 1000), warm_up_seconds=1.5)
SINGLE = Plan("small", batch_items=1, connections=64, behind=(150, 600), warm_up_seconds=1.5)

RAW = replace(ENHANCED, payload="raw")
# A provider has one connection for blocks, and sends the next one when the last one is answered.
BLOCK = Plan("block", batch_items=1000, connections=3, behind=(1000, 3000), warm_up_seconds=1.5)

HAND_WRITTEN = "hand-written"
NATS = "NATS JetStream with deduplication, its Python client publishing asynchronously"
# How many times the work of one worker two have to do, and connections enough to reach both of them.
TIMES, WORKERS_CONNECTIONS = 1.6, 24


def jetstream(processes: int) -> Side:
    """NATS JetStream, its publishers in so many processes."""

    def measure(plan: Plan) -> Measure:
        with server() as target:
            return run_loader(plan, target, module("benchmarks.rivals.jetstream", str(processes)))

    return Side(f"jetstream-{processes}", measure)


def batches_small(pairs: int, seconds: float) -> list[Result]:
    """Batches of small transactions."""
    plan = replace(SMALL, seconds=seconds)
    sides = [gate(), rival("handwritten"), jetstream(processes=1), jetstream(processes=3)]
    taken = rounds(sides, [plan] * len(sides), pairs)
    work = "batches of 500 × 0.65 KB, three feeds (2/3 duplicates)"
    return [
        row(taken, ("tidegate", "handwritten"), work, HAND_WRITTEN, 10.0),
        row(taken, ("tidegate", "jetstream-1"), work, NATS, 5.0),
        row(taken, ("tidegate", "jetstream-3"), work, f"{NATS}, in three processes", None),
    ]


def batches_enhanced(pairs: int, seconds: float) -> list[Result]:
    """Batches of real enhanced transactions."""
    plan = replace(ENHANCED, seconds=seconds)
    taken = rounds([gate(), rival("handwritten")], [plan, plan], pairs)
    work = "batches of 50 real enhanced transactions (5.5 KB), three feeds"
    return [row(taken, ("tidegate", "handwritten"), work, HAND_WRITTEN, 4.0)]


def singles(pairs: int, seconds: float) -> list[Result]:
    """Single posts, beside three rivals in the same rounds."""
    plan = replace(SINGLE, seconds=seconds)
    blind = replace(plan, is_verified=False)
    sides = [gate(), rival("handwritten"), rival("bare"), rival("nothing")]
    taken = rounds(sides, [plan, plan, blind, blind], pairs)
    work = "single posts, 64 connections, three feeds"
    return [
        row(taken, ("tidegate", "handwritten"), work, HAND_WRITTEN, 6.0),
        row(taken, ("tidegate", "bare"), work, "bare ASGI function under the same uvicorn", 0.5),
        row(taken, ("tidegate", "nothing"), work, "FastAPI route that does nothing", None),
    ]


def feeds(pairs: int, seconds: float) -> list[Result]:
    """What providers send, through `/feeds`, beside the same as items through `/transactions`."""
    wanted: list[tuple[Plan, str]] = [
        (replace(ENHANCED, form="documents"), "arrays of 50 real enhanced transactions (5.5 KB)"),
        (replace(RAW, form="documents"), "arrays of 50 real raw transactions (5.2 KB)"),
        (replace(BLOCK, form="block"), "blocks of 1,000 real transactions (4.6 MB)"),
    ]
    return [_feed(pairs, replace(plan, seconds=seconds), bodies) for plan, bodies in wanted]


def _feed(pairs: int, plan: Plan, bodies: str) -> Result:
    names = ("feeds", "items")
    taken = rounds([gate(name) for name in names], [plan, replace(plan, form="items")], pairs)
    return row(taken, names, f"{bodies} through `/feeds`, three feeds", "the same as items", 0.8)


def workers(pairs: int, seconds: float) -> list[Result]:
    """Two workers beside one: the ratio of rates, judged where there are cores for it, and that of CPU."""
    plan = replace(SMALL, connections=WORKERS_CONNECTIONS, seconds=seconds)
    names = ("two workers", "one worker")
    taken = rounds([gate(names[0], workers=2), gate(names[1], workers=1)], [plan, plan], pairs)
    two, one = (taken[name] for name in names)
    # What this machine has to have is 1.6 times what one worker, its store and its loader take.
    needed = TIMES * median(sum(each.cpu_seconds.values()) / each.seconds for each in one)
    bound = TIMES if needed <= (os.cpu_count() or 1) else None
    spent = [ours.cpu_us("gate") / theirs.cpu_us("gate") for ours, theirs in zip(two, one, strict=True)]
    remark = f"{told(two)}; at 1.25 × two workers do 1.6 × where there are cores"
    cpu = "batches, two workers: gate CPU a transaction"
    return [
        row(taken, names, "batches, two workers", "one worker", bound),
        Result(cpu, "one worker", "at most", None, "×", spent, details(taken, names), remark),
    ]


def row(taken: Rounds, sides: tuple[str, str], work: str, against: str, bound: float | None) -> Result:
    """One side beside another, as they are named: the ratio of their rates, round by round."""
    ours, theirs = (taken[name] for name in sides)
    ratios = [one.rate / other.rate for one, other in zip(ours, theirs, strict=True)]
    remark = f"{told(ours)}; against: {told(theirs)}"
    return Result(work, against, "at least", bound, "×", ratios, details(taken, sides), remark)


def details(taken: Rounds, sides: tuple[str, str]) -> dict[str, object]:
    """Every measure of two sides."""
    return {name: [measure.figures() for measure in taken[name]] for name in sides}


def told(measures: Sequence[Measure]) -> str:
    """The median rate, and the CPU of each part for a transaction."""
    rate = median(measure.rate for measure in measures)
    spent = (f"{part} {median(one.cpu_us(part) for one in measures):.3g}" for part in measures[0].cpu_seconds)
    return f"{rate:,.0f}/s, CPU µs each: {' + '.join(spent)}"
