"""Runs contestants in turn, and makes rows of the table of it."""

import sys
from collections.abc import Sequence
from statistics import median

from benchmarks.bench.plan import Measure, Plan
from benchmarks.bench.result import Result
from benchmarks.bench.sides import Side

Rounds = dict[str, list[Measure]]


def rounds(sides: Sequence[Side], plans: Sequence[Plan], pairs: int) -> Rounds:
    """Each side once a round, under its plan; who goes first changes from round to round."""
    taken: Rounds = {side.name: [] for side in sides}
    for number in range(pairs):
        turn = number % len(sides)
        order = list(zip(sides, plans, strict=True))
        for side, plan in order[turn:] + order[:turn]:
            measure = side.measure(plan)
            taken[side.name].append(measure)
            print(
                f"  round {number + 1} of {pairs}, {side.name:12} {told(measure)}",
                file=sys.stderr,
                flush=True,
            )
    return taken


def told(measure: Measure) -> str:
    """A measure in a line."""
    cores = "  ".join(f"{part} {spent / measure.seconds:.2f}" for part, spent in measure.cpu_seconds.items())
    times = f"p50 {measure.p50_ms:.2f} ms  p99 {measure.p99_ms:.2f} ms"
    return f"{measure.rate:10,.0f} tx/s   {times}   cores: {cores}  others {measure.other_cores:.2f}"


def row(taken: Rounds, sides: tuple[str, str], work: str, against: str, bound: float | None) -> Result:
    """One side beside another, as they are named: the ratio of their rates, round by round."""
    ours, theirs = (taken[name] for name in sides)
    return Result(
        work=work,
        against=against,
        wanted="at least",
        bound=bound,
        unit="×",
        measured=[one.rate / other.rate for one, other in zip(ours, theirs, strict=True)],
        details={name: [measure.figures() for measure in taken[name]] for name in sides},
        remark=f"{figures(ours)}; against: {figures(theirs)}",
    )


def figures(measures: Sequence[Measure]) -> str:
    """The median rate, and the CPU of each part for a transaction."""
    rate = median(measure.rate for measure in measures)
    spent = (f"{part} {median(one.cpu_us(part) for one in measures):.3g}" for part in measures[0].cpu_seconds)
    return f"{rate:,.0f}/s, CPU µs each: {' + '.join(spent)}"
