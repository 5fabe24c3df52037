"""Runs the points of a curve in turn, several times: what changes on the machine meanwhile meets them all."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks.curves.measuring import Figures, Gate, gate_for, measure
from benchmarks.curves.plan import Point

# A gate that took longer to fill is kept for all rounds; what a round adds to so many is little.
KEPT_FROM = 1_000_000


def run_points(points: Sequence[Point], rounds: int) -> list[list[Figures]]:
    """The figures of each point, round by round; every second round goes through them backwards."""
    taken: list[list[Figures]] = [[] for _ in points]
    with ExitStack() as stack:
        kept: dict[int, Gate] = {}
        for at, point in enumerate(points):
            if (point.filled or 0) >= KEPT_FROM:
                kept[at] = stack.enter_context(gate_for(point))
        for number in range(rounds):
            for at in order(len(points), number):
                figures = _measured(points[at], kept.get(at))
                taken[at].append(figures)
                print(
                    f"  round {number + 1} of {rounds}, {points[at].at:12,}: {told(figures)}",
                    file=sys.stderr,
                )
    return taken


def order(points: int, number: int) -> list[int]:
    """Which point comes when in a round."""
    forth = list(range(points))
    return forth[::-1] if number % 2 else forth


def told(figures: Figures) -> str:
    """A measurement in a line."""
    names = {"transactions_per_second": "tx/s", "p50_ms": "p50", "gate_us": "gate µs", "store_us": "store µs"}
    return "  ".join(f"{told} {figures[name] or 0:,.3g}" for name, told in names.items())


def _measured(point: Point, kept: Gate | None) -> Figures:
    if kept:
        return measure(point, kept)
    with gate_for(point) as gate:
        return measure(point, gate)
