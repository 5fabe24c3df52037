"""The benchmark: every case, one after the other; its rows as a table, JSON and a plot.

    python -m benchmarks.bench                                          # all, written to benchmarks/results
    python -m benchmarks.bench --only batches-small --pairs 1 --seconds 3    # a look, written nowhere

Exits with 1 when a row is missed or a case failed.
"""

import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.bench import (
    feeds,
    startup,
    store_cleanup,
    store_density,
    store_residency,
    store_scrape,
    throughput,
)
from benchmarks.bench.chart import draw
from benchmarks.bench.result import Report, Result
from benchmarks.bench.table import RESULTS, table
from benchmarks.common.results import options_of, timed, write_json
from benchmarks.common.rounds import say

Case = Callable[[int, float], list[Result]]


def timed_by_itself(case: Callable[[int], list[Result]]) -> Case:
    """A case that knows how long it measures, whatever `--seconds` says."""
    return lambda pairs, _: case(pairs)


CASES: Mapping[str, Case] = {
    "batches-small": throughput.batches_small,
    "batches-enhanced": throughput.batches_enhanced,
    "singles": throughput.singles,
    "feeds": throughput.feeds,
    "feeds-block": feeds.block,
    "feeds-limit": feeds.limit,
    "workers": throughput.workers,
    "density": timed_by_itself(store_density.run),
    "residency": timed_by_itself(store_residency.run),
    "cleanup": timed_by_itself(store_cleanup.run),
    "scrape": timed_by_itself(store_scrape.run),
    "startup": timed_by_itself(startup.run),
}


def run(cases: Mapping[str, Case], pairs: int, seconds: float) -> Report:
    """Run the cases one after the other; one that fails does not keep the others from running."""
    report = Report(pairs, seconds)
    for name, case in cases.items():
        with timed(name):
            try:
                report.results += case(pairs, seconds)
            except (Exception, SystemExit) as error:  # noqa: BLE001  whatever it is, it is one case's
                traceback.print_exc()
                report.failed[name] = f"{type(error).__name__}: {error}"
    return report


def main(cases: Mapping[str, Case] = CASES) -> int:
    """Run the cases asked for; the exit code."""
    parser = options_of(__doc__)
    parser.add_argument("--only", action="append", choices=cases, help="this case; may be given again")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="measured in each run, after the warm-up")
    parser.add_argument("--out", type=Path, help="where to write .json and .png")
    options = parser.parse_args()
    chosen = {name: case for name, case in cases.items() if not options.only or name in options.only}
    report = run(chosen, options.pairs, options.seconds)
    out = options.out or (None if options.only else RESULTS)
    if out:
        write_json(out.with_suffix(".json"), report.as_dict(), indent=1)
        draw(report.results, out.with_suffix(".png"))
    print(table(report.results, remarks=True, aligned=True))
    for complaint in report.complaints:
        say(complaint)
    return 1 if report.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
