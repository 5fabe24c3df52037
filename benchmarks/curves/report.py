"""The curves of a run as a document, and what its tables and its picture are made of."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from statistics import median
from typing import Any, NamedTuple

from benchmarks.bench.report import machine
from benchmarks.curves.measuring import Figures
from benchmarks.curves.plan import Curve

DIGITS = 5


class Spread(NamedTuple):
    """A figure over the rounds."""

    median: float
    least: float
    most: float


def curve_document(curve: Curve, taken: Sequence[Sequence[Figures]]) -> dict[str, Any]:
    """One curve with every figure of every round."""
    points = [
        {
            "at": point.at,
            "load": asdict(point.load),
            "filled": point.filled,
            "rounds": [{name: _short(value) for name, value in one.items()} for one in figures],
        }
        for point, figures in zip(curve.points, taken, strict=True)
    ]
    return {
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "axis": curve.axis,
        "points": points,
    }


def spread(point: dict[str, Any], name: str) -> Spread | None:
    """A figure of a point; None when some round does not have it."""
    values = [one.get(name) for one in point["rounds"]]
    if not values or None in values:
        return None
    return Spread(median(values), min(values), max(values))


def _short(value: float | None) -> float | None:
    return value if value is None else float(f"{value:.{DIGITS}g}")
