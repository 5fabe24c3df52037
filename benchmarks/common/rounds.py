"""The sides of a comparison, run in turn: what is started, loaded and stopped for one measurement."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from benchmarks.common.gates import Service, module, service, tidegate
from benchmarks.common.loader_process import run_loader
from benchmarks.common.plan import Measure, Plan
from benchmarks.common.results import say

Rounds = dict[str, list[Measure]]


@dataclass(frozen=True)
class Side:
    """One contestant."""

    name: str
    measure: Callable[[Plan], Measure]


def http_side(name: str, start: Callable[[], AbstractContextManager[Service]]) -> Side:
    """A service that answers `POST /transactions`, started anew for each measurement."""

    def measure(plan: Plan) -> Measure:
        with start() as running:
            return run_loader(plan, running.target())

    return Side(name, measure)


def gate(name: str = "tidegate", **settings: object) -> Side:
    """Tidegate as it is shipped, with the embedded store."""
    return http_side(name, lambda: tidegate(**settings))


def rival(name: str) -> Side:
    """A service of `benchmarks/rivals`."""
    return http_side(name, lambda: service(*module(f"benchmarks.rivals.{name}")))


def rounds(sides: Sequence[Side], plans: Sequence[Plan], count: int) -> Rounds:
    """Measure each side once a round, under its plan; who goes first changes from round to round."""
    taken: Rounds = {side.name: [] for side in sides}
    for number in range(count):
        turn = number % len(sides)
        order = list(zip(sides, plans, strict=True))
        for side, plan in order[turn:] + order[:turn]:
            measure = side.measure(plan)
            taken[side.name].append(measure)
            say(f"  round {number + 1} of {count}, {side.name:12} {measure.line}")
    return taken
