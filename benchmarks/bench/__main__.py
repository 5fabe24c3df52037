"""The benchmark: every case, one after the other; its rows as a table, JSON and a plot.

    python -m benchmarks.bench                                          # all, written to benchmarks/results
    python -m benchmarks.bench --only batches-small --pairs 1 --seconds 3    # a look, written nowhere

`--seconds` are measured in each run, after the warm-up; .json and .png are written to `--out`. Exits with 1
when a row is missed or a case failed.
"""

import sys
import traceback
from collections.abc import Mapping
from dataclasses import replace

from benchmarks import residency
from benchmarks.bench import feeds, loads, startup, store_cleanup, store_density, store_scrape
from benchmarks.bench.chart import draw
from benchmarks.bench.result import Case, Report
from benchmarks.bench.table import RESULTS, table
from benchmarks.common.results import options_of, say, show, timed, write_json

CASES: Mapping[str, Case] = {
    "batches-small": loads.batches_small,
    "batches-enhanced": loads.batches_enhanced,
    "singles": loads.singles,
    "latency": loads.latency,
    "feeds": loads.feeds,
    "feeds-block": feeds.block,
    "feeds-limit": feeds.limit,
    "workers": loads.workers,
    # These know how long they measure.
    "density": lambda pairs, _: store_density.run(pairs),
    "residency": lambda *_: residency.row(),
    "cleanup": lambda pairs, _: store_cleanup.run(pairs),
    "scrape": lambda pairs, _: store_scrape.run(pairs),
    "startup": lambda pairs, _: startup.run(pairs),
}
# The README has room for so many rows; those of these cases are in benchmarks/README.md alone.
NOT_IN_README = {"feeds", "feeds-block", "feeds-limit"}


def run(cases: Mapping[str, Case], pairs: int, seconds: float) -> Report:
    """Run the cases one after the other; one that fails does not keep the others from running."""
    report = Report(pairs, seconds)
    for name, case in cases.items():
        with timed(name):
            try:
                rows = case(pairs, seconds)
                report.rows += [replace(one, is_for_readme=name not in NOT_IN_README) for one in rows]
            except (Exception, SystemExit) as error:  # noqa: BLE001  whatever it is, it is one case's
                traceback.print_exc()
                report.failed[name] = f"{type(error).__name__}: {error}"
    return report


def main(cases: Mapping[str, Case] = CASES) -> int:
    """Run the cases asked for; the exit code."""
    options = options_of(__doc__, cases, pairs=5, seconds=4.0, out=None).parse_args()
    chosen = {name: case for name, case in cases.items() if not options.only or name in options.only}
    report = run(chosen, options.pairs, options.seconds)
    out = options.out or (None if options.only else RESULTS)
    if out:
        write_json(out.with_suffix(".json"), report.as_dict(), indent=1)
        draw(report.rows, out.with_suffix(".png"))
    show(table(report.rows))
    for complaint in report.complaints:
        say(complaint)
    return 1 if report.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
