"""Writes the table of the last full benchmark into the pages that have marks for it.

The README's is without remarks, that of `benchmarks/README.md` with them.

    python -m benchmarks.bench.table
"""

import json
from pathlib import Path
from typing import Any

from benchmarks.bench.report import results_of, table

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "bench.json"
# With remarks or without.
PAGES = {ROOT / "README.md": False, ROOT / "benchmarks" / "README.md": True}
BEGIN, END = "<!-- bench:begin, written by `python -m benchmarks.bench.table` -->", "<!-- bench:end -->"


def section(document: dict[str, Any], *, remarks: bool) -> str:
    """What stands between the marks."""
    where = document["machine"]
    told = (
        f"Medians of {document['pairs']} pairs, or rounds where there is no rival (no range: of one). "
        f"{document['taken'][:10]}; {where['cores']} cores ({where['processor']}) for gate, store and loader "
        f"together; Python {where['python']}."
    )
    return f"\n{table(results_of(document), remarks=remarks)}\n\n{told}\n"


def rewritten(page: str, text: str) -> str:
    """The page with the text between its marks.

    Raises:
        ValueError: it has no marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no marks for the benchmark's table")
    return f"{before}{begin}\n{text}{end}{after}"


if __name__ == "__main__":
    for page, has_remarks in PAGES.items():
        text = section(json.loads(RESULTS.read_text()), remarks=has_remarks)
        page.write_text(rewritten(page.read_text(), text))
