"""Two workers beside one, under the same batches."""

import os
from dataclasses import replace
from statistics import median

from benchmarks.bench.contest import Rounds, figures, rounds, row
from benchmarks.bench.result import Result
from benchmarks.bench.sides import gate
from benchmarks.bench.throughput import SMALL

TIMES = 1.6
# So many that they do not all end up at one worker.
CONNECTIONS = 24


def run(pairs: int, seconds: float) -> list[Result]:
    """The ratio of their rates, judged where there are cores for it; where not, that of their CPU is told."""
    plan = replace(SMALL, connections=CONNECTIONS, seconds=seconds)
    sides = [gate("two workers", workers=2), gate("one worker", workers=1)]
    taken = rounds(sides, [plan, plan], pairs)
    names = ("two workers", "one worker")
    bound = TIMES if _cores_allow(taken) else None
    return [row(taken, names, "batches, two workers", "one worker", bound), _cpu_row(taken)]


def _cores_allow(taken: Rounds) -> bool:
    """Whether this machine has what 1.6 times the work of one worker takes, store and loader included."""
    needed = median(sum(one.cpu_seconds.values()) / one.seconds for one in taken["one worker"])
    return TIMES * needed <= (os.cpu_count() or 1)


def _cpu_row(taken: Rounds) -> Result:
    pairs = zip(taken["two workers"], taken["one worker"], strict=True)
    return Result(
        work="batches, two workers: gate CPU a transaction",
        against="one worker",
        wanted="at most",
        bound=None,
        unit="×",
        measured=[two.cpu_us("gate") / one.cpu_us("gate") for two, one in pairs],
        details={name: [measure.figures() for measure in measures] for name, measures in taken.items()},
        remark=f"{figures(taken['two workers'])}; at 1.25 × two workers do 1.6 × where there are cores",
    )
