"""How cost grows: with batch size, connections, entries, payload and duplicates.

    python -m benchmarks.curves                                            # all, some seventeen minutes
    python -m benchmarks.curves --only maps                                # the others stay as they are
    python -m benchmarks.curves --only batch --rounds 1 --out /tmp/look    # written there

Writes `benchmarks/results/curves.json` and `.png`, and the tables of `benchmarks/CURVES.md`.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.curves import table
from benchmarks.curves.chart import draw
from benchmarks.curves.plan import CURVES, Curve
from benchmarks.curves.report import curve_document
from benchmarks.curves.rounds import run_points


def main(curves: Mapping[str, Curve] = CURVES) -> int:
    """Run the curves asked for and write what they show; the exit code."""
    options = _options(curves)
    out: Path = (options.out or table.RESULTS).with_suffix(".json")
    done: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    for name in options.only or curves:
        started = time.monotonic()
        print(f"{name} …", file=sys.stderr, flush=True)
        curve = timed(curves[name], options.seconds) if options.seconds else curves[name]
        done[name] = curve_document(curve, run_points(curve.points, options.rounds))
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        _write({known: done[known] for known in curves if known in done}, out)
    if out == table.RESULTS:
        table.write()
    for name in options.only or curves:
        print(f"{table.table(name, done[name])}\n")
    return 0


def timed(curve: Curve, seconds: float) -> Curve:
    """The curve with so many seconds measured at each point."""
    points = [replace(point, load=replace(point.load, seconds=seconds)) for point in curve.points]
    return replace(curve, points=points)


def _write(done: dict[str, Any], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(done, indent=1) + "\n")
    draw(done, out.with_suffix(".png"))


def _options(curves: Mapping[str, Curve]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=curves, help="this curve; may be given again")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, help="measured at each point, each time; else the plan's")
    parser.add_argument("--out", type=Path, help="where to write .json and .png")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
