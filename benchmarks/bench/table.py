"""Writes the table of the last full benchmark into the pages that have marks for it.

The README's is without remarks, that of `benchmarks/README.md` with them.

    python -m benchmarks.bench.table
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench.result import Result, results_of
from benchmarks.common.results import between, markdown, quantity

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "bench.json"
# With remarks or without.
PAGES = {ROOT / "README.md": False, ROOT / "benchmarks" / "README.md": True}
BEGIN, END = "<!-- bench:begin, written by `python -m benchmarks.bench.table` -->", "<!-- bench:end -->"
HEAD = ("work", "against", "wanted", "median", "least to most", "", "remark")


def table(results: Sequence[Result], *, remarks: bool) -> str:
    """The rows as a Markdown table, with or without their remarks."""
    columns = len(HEAD) - (not remarks)
    return markdown([row[:columns] for row in (HEAD, *map(_cells, results))])


def section(document: dict[str, Any], *, remarks: bool) -> str:
    """What stands between the marks."""
    where = document["machine"]
    told = (
        f"Medians of {document['pairs']} pairs, or rounds where there is no rival (no range: of one). "
        f"{document['taken'][:10]}; {where['cores']} cores ({where['processor']}) for gate, store and loader "
        f"together; Python {where['python']}."
    )
    return f"\n{table(results_of(document), remarks=remarks)}\n\n{told}\n"


def _cells(one: Result) -> tuple[str, ...]:
    least, most = quantity(min(one.measured)), quantity(max(one.measured), one.unit)
    spread = f"{least} to {most}" if len(one.measured) > 1 else ""
    verdict = "" if one.bound is None else ("met" if one.is_met else "**missed**")
    return one.work, one.against, one.bound_text, quantity(one.median, one.unit), spread, verdict, one.remark


if __name__ == "__main__":
    for page, has_remarks in PAGES.items():
        text = section(json.loads(RESULTS.read_text()), remarks=has_remarks)
        page.write_text(between(page.read_text(), BEGIN, END, text))
