"""The curves of a run as a document, and their tables in `benchmarks/CURVES.md`, between the marks of each.

python -m benchmarks.curves.table
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.common import results
from benchmarks.common.results import between, markdown, quantity
from benchmarks.curves.measuring import Figures
from benchmarks.curves.plan import CURVES, Column, Curve

RESULTS = results.RESULTS / "curves.json"
PAGE = Path(__file__).parents[1] / "CURVES.md"
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
    return {**results.taken_here(), "axis": curve.axis, "points": points}


def spread(point: dict[str, Any], name: str) -> Spread | None:
    """A figure of a point; None when some round does not have it."""
    values = [one.get(name) for one in point["rounds"]]
    if not values or None in values:
        return None
    return Spread(median(values), min(values), max(values))


def table(name: str, document: dict[str, Any]) -> str:
    """One curve as a Markdown table."""
    columns, points = CURVES[name].columns, document["points"]
    rows = [[f"{point['at']:,}", *(_cell(point, column) for column in columns)] for point in points]
    return markdown([[document["axis"], *(column.head for column in columns)], *rows])


def rewritten(page: str, curves: dict[str, Any]) -> str:
    """The page with the table of each curve between its marks.

    Raises:
        ValueError: a curve has no marks.
    """
    for name, document in curves.items():
        rounds = len(document["points"][0]["rounds"])
        lengths = [point["load"]["seconds"] for point in document["points"]]
        seconds = " to ".join(f"{length:g}" for length in dict.fromkeys((min(lengths), max(lengths))))
        told = f"Medians of {rounds} rounds of {seconds} s, {results.where(document)}."
        begin, end = f"<!-- {name}:begin, written by `make curves` -->", f"<!-- {name}:end -->"
        page = between(page, begin, end, f"\n{table(name, document)}\n\n{told}\n")
    return page


def write() -> None:
    """Bring the page up to date."""
    PAGE.write_text(rewritten(PAGE.read_text(), json.loads(RESULTS.read_text())))


def _short(value: float | None) -> float | None:
    return value if value is None else float(f"{value:.{DIGITS}g}")


def _cell(point: dict[str, Any], column: Column) -> str:
    figures = [spread(point, name) for name in column.names]
    told = " / ".join("—" if one is None else quantity(one.median) for one in figures)
    [first, *_] = figures
    if not column.has_range or first is None or len(point["rounds"]) == 1:
        return told
    return f"{told} ({quantity(first.least)} to {quantity(first.most)})"


if __name__ == "__main__":
    write()
