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
from benchmarks.common.lone_posts import RIVALS
from benchmarks.common.plan import LEAST_REQUESTS
from benchmarks.common.results import between, markdown, quantity
from benchmarks.curves.measuring import Figures
from benchmarks.curves.plan import CURVES, Curve

RESULTS = results.RESULTS / "curves.json"
PAGE = Path(__file__).parents[1] / "CURVES.md"
DIGITS = 5


class Column(NamedTuple):
    """What a column holds: the names of its figures, with a slash between them."""

    head: str
    names: Sequence[str]
    has_range: bool = False


class Spread(NamedTuple):
    """A figure over the rounds."""

    median: float
    least: float
    most: float


USUAL = (
    Column("transactions/s", ["transactions_per_second"], has_range=True),
    Column("p50 / p99 / p99.9, ms", ["p50_ms", "p99_ms", "p999_ms"]),
    Column("CPU each, µs: gate / store", ["gate_us", "store_us"]),
    Column("cores: gate / store / loader", ["gate_cores", "store_cores", "loader_cores"]),
    Column("resident, MB: gate / store", ["gate_mb", "store_mb"]),
    Column("store bytes each", ["store_bytes_each"]),
)


def group_of(curve: str) -> str:
    """What a curve is asked for by: the part of its name before a hyphen."""
    return curve.partition("-")[0]


SIDES = {"tidegate": "Tidegate", **RIVALS}
LATENCY = "latency"
LATENCY_COLUMNS = tuple(
    Column(f"{title}: p50 / p99 / p99.9, ms", [f"{side}_{name}" for name in LEAST_REQUESTS])
    for side, title in SIDES.items()
)
# In the picture the sides are lines of one panel.
LATENCY_PANELS = tuple(
    Column(f"{title}, ms", [f"{side}_{name}" for side in SIDES])
    for name, title in zip(LEAST_REQUESTS, ("p50", "p99", "p99.9"), strict=True)
)
COLUMNS: dict[str, Sequence[Column]] = dict.fromkeys(CURVES, USUAL) | {
    **{name: LATENCY_COLUMNS for name in CURVES if group_of(name) == LATENCY},
    "payload": (USUAL[0], Column("MB/s", ["mb_per_second"]), *USUAL[1:]),
    "maps": (
        *USUAL,
        Column("lookup p50 / p99 / p99.9, ms", ["lookup_p50_ms", "lookup_p99_ms", "lookup_p999_ms"]),
        Column("`/metrics` p50 / p99, ms", ["scrape_p50_ms", "scrape_p99_ms"]),
    ),
}


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
    columns = COLUMNS[name]
    points = (
        [f"{point['at']:,}", *(_cell(point, column) for column in columns)] for point in document["points"]
    )
    return markdown([[document["axis"], *(column.head for column in columns)], *points])


def section(name: str, document: dict[str, Any]) -> str:
    """What stands between the marks."""
    rounds = len(document["points"][0]["rounds"])
    lengths = sorted({point["load"]["seconds"] for point in document["points"]})
    seconds = " to ".join(f"{length:g}" for length in dict.fromkeys((lengths[0], lengths[-1])))
    told = (
        f"Medians of {rounds} rounds of {seconds} s, {document['taken'][:10]}; "
        f"{document['machine']['cores']} cores ({document['machine']['processor']})."
    )
    return f"\n{table(name, document)}\n\n{told}\n"


def rewritten(page: str, curves: dict[str, Any]) -> str:
    """The page with the table of each curve between its marks.

    Raises:
        ValueError: a curve has no marks.
    """
    for name, document in curves.items():
        begin, end = f"<!-- {name}:begin, written by `make curves` -->", f"<!-- {name}:end -->"
        page = between(page, begin, end, section(name, document))
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
