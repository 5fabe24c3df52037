"""Run the whole corpus over all ways: `python -m tests.http.corpus [--rule PART] [--bounded] [--write]`."""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from tests.http.corpus.cases import all_cases
from tests.http.corpus.findings import (
    accepted,
    against_the_rfc,
    broken_by_the_server,
    by_rule,
    cut_otherwise,
    kept_open,
    not_answered,
    seen,
    whole,
)
from tests.http.corpus.page import page
from tests.http.corpus.run import Results, run

PAGE = Path("docs/http-conformance.md")


def told(results: Results) -> Iterator[str]:
    """What one server did, in lines."""
    verdicts = whole(results)
    wrong = against_the_rfc(verdicts)
    yield f"\n== {results.name}: {len(results.transcripts)} connections, alive: {results.is_alive}"
    for rule, counts in by_rule(verdicts).items():
        mark = "!!" if rule.name in wrong else "  "
        yield f"{mark} {rule.name} [{rule.ask.words}]: {dict(counts)}"
        yield from (f"       {case.variant}: {verdicts[case]}" for case in wrong.get(rule.name, ()))
    yield from (f"answer depends on the cut: {each}" for each in cut_otherwise(results))


def of_gate(results: Results) -> Iterator[str]:
    """What has to hold for a gate, and does not."""
    yield from (f"open after a refusal: {each}" for each in kept_open(results))
    yield from (f"5xx: {each}" for each in broken_by_the_server(results))
    yield from (f"good request before was not answered: {each}" for each in not_answered(results))
    said = accepted(results)
    yield f"carried out and not answered: {sorted(results.carried_out - said)[:20]}"
    yield f"answered and not carried out: {sorted(said - results.carried_out)[:20]}"
    yield f"seen {dict(seen(results))}, counted {dict(results.counted)}"


def main() -> None:
    """Run, print, and write the page if asked to."""
    options = argparse.ArgumentParser(prog="python -m tests.http.corpus", description=__doc__)
    options.add_argument("--rule", default="", help="only rules with this in their name")
    options.add_argument(
        "--bounded", action="store_true", help="what the test sends: not every way for every case"
    )
    options.add_argument("--write", action="store_true", help=f"write {PAGE}")
    chosen = options.parse_args()
    cases = [case for case in all_cases() if chosen.rule in case.rule.name]
    *gates, other = asyncio.run(run(cases, is_bounded=chosen.bounded))
    lines = [line for results in gates for line in (*told(results), *of_gate(results))]
    sys.stdout.write("\n".join([*lines, *told(other), ""]))
    if chosen.write:
        PAGE.write_text(page(whole(gates[0]), whole(other), version("uvicorn")), encoding="utf-8")


if __name__ == "__main__":
    main()
