"""Writes the tables of the last run into `benchmarks/CURVES.md`, between the marks of each curve.

python -m benchmarks.curves.table
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.bench.report import quantity
from benchmarks.curves.plan import CURVES
from benchmarks.curves.report import spread

RESULTS = Path(__file__).parents[1] / "results" / "curves.json"
PAGE = Path(__file__).parents[1] / "CURVES.md"


class Column(NamedTuple):
    """What a column holds: the names of its figures, with a slash between them."""

    head: str
    names: Sequence[str]
    has_range: bool = False


TIMES = Column("p50 / p99 / p99.9, ms", ["p50_ms", "p99_ms", "p999_ms"])
CPU = Column("CPU each, µs: gate / store", ["gate_us", "store_us"])
CORES = Column("cores: gate / store / loader", ["gate_cores", "store_cores", "loader_cores"])
RESIDENT = Column("resident, MB: gate / store", ["gate_mb", "store_mb"])
BYTES = Column("store bytes each", ["store_bytes_each"])
RATE = Column("transactions/s", ["transactions_per_second"], has_range=True)
USUAL = (RATE, TIMES, CPU, CORES, RESIDENT, BYTES)
COLUMNS: dict[str, Sequence[Column]] = dict.fromkeys(CURVES, USUAL) | {
    "payload": (RATE, Column("MB/s", ["mb_per_second"]), *USUAL[1:]),
    "maps": (
        *USUAL,
        Column("lookup p50 / p99 / p99.9, ms", ["lookup_p50_ms", "lookup_p99_ms", "lookup_p999_ms"]),
        Column("`/metrics` p50 / p99, ms", ["scrape_p50_ms", "scrape_p99_ms"]),
    ),
}


def marks(name: str) -> tuple[str, str]:
    """What a curve's table stands between."""
    return f"<!-- {name}:begin, written by `make curves` -->", f"<!-- {name}:end -->"


def table(name: str, document: dict[str, Any]) -> str:
    """One curve as a Markdown table."""
    columns = COLUMNS[name]
    rows = [
        [f"{point['at']:,}", *(_cell(point, column) for column in columns)] for point in document["points"]
    ]
    head = [document["axis"], *(column.head for column in columns)]
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


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
        begin, end = marks(name)
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no marks for the curve {name}")
        page = f"{before}{begin}\n{section(name, document)}{end}{after}"
    return page


def _cell(point: dict[str, Any], column: Column) -> str:
    figures = [spread(point, name) for name in column.names]
    told = " / ".join("—" if one is None else quantity(one.median, "") for one in figures)
    [first, *_] = figures
    if not column.has_range or first is None or len(point["rounds"]) == 1:
        return told
    return f"{told} ({quantity(first.least, '')} to {quantity(first.most, '')})"


def write() -> None:
    """Bring the page up to date."""
    PAGE.write_text(rewritten(PAGE.read_text(), json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    write()
