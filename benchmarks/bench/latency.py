"""How long a feed waits for the answer to a single post: as fast as answered, and at a constant rate."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from benchmarks.bench.result import Result
from benchmarks.bench.throughput import details
from benchmarks.common.lone_posts import LONE, RIVALS, lone_posts
from benchmarks.common.plan import LEAST_REQUESTS, Measure
from benchmarks.common.rounds import Rounds

STEADY = replace(LONE, connections=16, per_second=1000)
# What is judged, beside the hand-written service alone.
P50_BOUND, P99_BOUND = 0.55, 0.6
CPU = "cpu"


def run(pairs: int, seconds: float) -> list[Result]:
    """Posts over one connection, then 1,000 a second over 16, to the same four sides."""
    alone = lone_posts(replace(LONE, seconds=seconds), pairs)
    steady = lone_posts(replace(STEADY, seconds=seconds), pairs)
    work = "single posts over one connection"
    at_rate = f"{STEADY.per_second:,} single posts a second over {STEADY.connections} connections, open loop"
    return [
        *(_row(alone, rival, f"{work}: p50", "p50_ms", P50_BOUND) for rival in RIVALS),
        _row(alone, "handwritten", f"{work}: CPU of gate and store a post", CPU, None),
        *(_row(steady, rival, f"{at_rate}: p99", "p99_ms", P99_BOUND) for rival in RIVALS),
    ]


def _row(taken: Rounds, rival: str, work: str, figure: str, bound: float | None) -> Result:
    """Tidegate beside a rival: the ratio of a time by its name, or of CPU, round by round."""
    names = ("tidegate", rival)
    ours, theirs = (taken[name] for name in names)
    ratios = [_figure(one, figure) / _figure(other, figure) for one, other in zip(ours, theirs, strict=True)]
    judged = bound if rival == "handwritten" else None
    remark = f"{_told(ours)}; against: {_told(theirs)}"
    return Result(work, RIVALS[rival], "at most", judged, "×", ratios, details(taken, names), remark)


def _told(measures: Sequence[Measure]) -> str:
    """The medians of the times and of the CPU, and how often the rate was kept, where that was not always."""
    times = " / ".join(f"{median(one.times_ms[name] for one in measures):.2f}" for name in LEAST_REQUESTS)
    kept = sum(one.is_kept for one in measures)
    behind = "" if kept == len(measures) else f", kept up {kept} times of {len(measures)}"
    spent = median(_figure(one, CPU) for one in measures)
    return f"p50 / p99 / p99.9 {times} ms, {spent:.0f} µs of CPU a post{behind}"


def _figure(measure: Measure, name: str) -> float:
    return measure.cpu_us("gate") + measure.cpu_us("store") if name == CPU else measure.times_ms[name]
