"""How cost grows: with batch size, connections, entries, payload, duplicates and rate.

    python -m benchmarks.curves                                            # all, some 38 minutes
    python -m benchmarks.curves --only maps                                # the others stay as they are
    python -m benchmarks.curves --only batch --rounds 1 --out /tmp/look    # written there

`--only latency` is three curves, with a picture of their own. Writes `benchmarks/results/curves.json`,
`.png` and `-latency.png`, and the tables of `benchmarks/CURVES.md`.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.common.results import options_of, show, timed, write_json
from benchmarks.curves import table
from benchmarks.curves.chart import draw
from benchmarks.curves.measuring import run_points
from benchmarks.curves.plan import CURVES, LATENCY, LATENCY_PANELS, USUAL, Curve, group_of


def main(curves: Mapping[str, Curve] = CURVES) -> int:
    """Run the curves asked for and write what they show; the exit code."""
    parser = options_of(__doc__, {*map(group_of, curves)}, rounds=3, out=table.RESULTS)
    parser.add_argument("--seconds", type=float, help="measured at each point, each time; else the plan's")
    options = parser.parse_args()
    out: Path = options.out.with_suffix(".json")
    done: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    chosen = [name for name in curves if not options.only or group_of(name) in options.only]
    for name in chosen:
        with timed(name):
            curve = curves[name].timed(options.seconds) if options.seconds else curves[name]
            done[name] = table.curve_document(curve, run_points(curve.points, options.rounds))
        known = {each: done[each] for each in curves if each in done}
        write_json(out, known, indent=1)
        _draw(known, out)
    if out == table.RESULTS:
        table.write()
    for name in chosen:
        show(table.table(name, done[name]))
    return 0


def _draw(known: dict[str, Any], out: Path) -> None:
    """One picture of the gate alone, and one of it and its rivals."""
    latency = {name: curve for name, curve in known.items() if group_of(name) == LATENCY}
    others = {name: curve for name, curve in known.items() if name not in latency}
    draw(others, out.with_suffix(".png"), USUAL)
    draw(latency, out.with_name(f"{out.stem}-latency.png"), LATENCY_PANELS)


if __name__ == "__main__":
    sys.exit(main())
