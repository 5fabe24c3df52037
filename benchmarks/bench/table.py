"""Writes the table of the last full benchmark into the pages that have marks for it.

The README's has the rows that are judged, but for those of a few cases, and no remarks; that of
`benchmarks/README.md` has everything.

    python -m benchmarks.bench.table
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench.result import Result, results_of
from benchmarks.common.results import between, markdown, quantity, where

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "bench.json"
# Whether a page tells everything: the rows for comparison only, and the remarks.
PAGES = {ROOT / "README.md": False, ROOT / "benchmarks" / "README.md": True}
BEGIN, END = "<!-- bench:begin, written by `python -m benchmarks.bench.table` -->", "<!-- bench:end -->"
HEAD = ("work", "against", "wanted", "median", "least to most", "", "remark")


def table(results: Sequence[Result], *, is_full: bool = True) -> str:
    """The rows as a Markdown table; if it is not full, those for the README alone, without remarks."""
    told = [one for one in results if is_full or (one.is_for_readme and one.bound is not None)]
    rows = [HEAD, *map(_cells, told)]
    return markdown(rows if is_full else [row[:-1] for row in rows])


def section(document: dict[str, Any], *, is_full: bool) -> str:
    """What stands between the marks."""
    told = (
        f"Medians of {document['pairs']} pairs, or rounds where there is no rival (no range: of one). "
        f"{where(document)} for gate, store and loader together; Python {document['machine']['python']}."
    )
    return f"\n{table(results_of(document), is_full=is_full)}\n\n{told}\n"


def _cells(one: Result) -> tuple[str, ...]:
    least, most = quantity(min(one.measured)), quantity(max(one.measured), one.unit)
    spread = f"{least} to {most}" if len(one.measured) > 1 else ""
    verdict = "" if one.bound is None else ("met" if one.is_met else "**missed**")
    return one.work, one.against, one.bound_text, quantity(one.median, one.unit), spread, verdict, one.remark


if __name__ == "__main__":
    for page, is_full in PAGES.items():
        text = section(json.loads(RESULTS.read_text()), is_full=is_full)
        page.write_text(between(page.read_text(), BEGIN, END, text))
