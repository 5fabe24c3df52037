"""Writes the table of the last full benchmark into the README, between its two marks.

python -m benchmarks.bench.table
"""

import json
from pathlib import Path

from benchmarks.bench.report import results_of, table

ROOT = Path(__file__).parents[2]
README, RESULTS = ROOT / "README.md", ROOT / "benchmarks" / "results" / "bench.json"
BEGIN, END = "<!-- bench:begin, written by `python -m benchmarks.bench.table` -->", "<!-- bench:end -->"


def section(results: Path = RESULTS) -> str:
    """What stands between the marks."""
    document = json.loads(results.read_text())
    where = document["machine"]
    told = (
        f"Medians of {document['pairs']} pairs, {document['taken'][:10]}, {where['cores']} cores of a "
        f"{where['processor']}, loader included, Python {where['python']}."
    )
    return f"\n{table(results_of(document))}\n\n{told}\n"


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
    README.write_text(rewritten(README.read_text(), section()))
