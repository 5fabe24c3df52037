"""The benchmark: every case, one after the other, its rows as a table, JSON and a plot.

python -m benchmarks.bench --only batches-small --pairs 1 --seconds 3
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.bench import throughput
from benchmarks.bench.result import Result

Case = Callable[[int, float], list[Result]]

CASES: dict[str, Case] = {
    "batches-small": throughput.batches_small,
    "batches-enhanced": throughput.batches_enhanced,
    "singles": throughput.singles,
}


def main() -> int:
    """Run the cases asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=CASES, help="this case; repeatable")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="measured of each run")
    options = parser.parse_args()
    for name in options.only or CASES:
        print(name, file=sys.stderr)
        for result in CASES[name](options.pairs, options.seconds):
            print(f"{result.work} ÷ {result.against}: {result.median:.2f} {result.unit}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
