"""Does memory stay flat under a constant load of real payloads? Fails when it does not.

Runs the gate with its embedded store under three feeds that deliver the same transactions, and judges the
trend of resident memory after the warm-up (see benchmarks/slope.py for the method): of the gate as it is, and
of the store less the bytes its maps hold, since those follow the load to the last percent and no load is
that even. The trend of the store as it is is shown beside it.

Of the gate a second figure is judged, more strictly: the bytes its program holds by its allocators' own
count. Resident bytes move in steps of pages, so their interval takes longer to become narrow.

    make soak MINUTES=60
    make soak MINUTES=60 LEAK_MB_PER_HOUR=20    # a leak is planted; this run has to fail
"""

import argparse
import asyncio
import json
import sys
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.load import Tally, load
from benchmarks.plot import plot_memory
from benchmarks.sampling import Recorder
from benchmarks.services import Service, module, service, tidegate
from benchmarks.slope import MB, SECONDS_AN_HOUR, Trend, trend

RESULTS = Path(__file__).parent / "results"
WARM_UP_SECONDS, WARM_UP_SHARE = 900.0, 0.25
# What the upper bound of the 95 % interval has to stay below, by the series that is judged.
MOST_MB_PER_HOUR = {"gate": 5.0, "gate_live": 2.0, "store_less_maps": 5.0}
LEAST_RATE_SHARE = 0.95
MAPS = ("signatures", "transactions", "observations")


def service_to_soak(leak_mb_per_hour: float) -> AbstractContextManager[Service]:
    """The gate as it is shipped, or one that keeps Python objects it should let go of."""
    if not leak_mb_per_hour:
        return tidegate()
    bytes_per_second = leak_mb_per_hour * MB / SECONDS_AN_HOUR
    return service(*module("tests.support.leaky_gate"), "objects", str(bytes_per_second))


async def soak(gate: Service, options: argparse.Namespace) -> tuple[Recorder, Tally]:
    """Load and samples."""
    lines = options.out.with_suffix(".jsonl")
    lines.unlink(missing_ok=True)
    recorder = Recorder(gate, lines)
    async with load(gate.url, options.rate) as tally, recorder.running():
        await asyncio.sleep(options.minutes * 60)
    return recorder, tally


def series(recorder: Recorder, after_seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Bytes over seconds: resident ones of the gate, of the store, and of the store less what its maps hold.

    Of the gate also the live ones. What could not be read with all the rest is left out.
    """
    needed = {"accepted", "gate_live_bytes"}
    samples = [one for one in recorder.samples if one["seconds"] >= after_seconds and needed <= one.keys()]
    held = [sum(one[f"{name}_bytes"] for name in MAPS) for one in samples]
    return {
        "gate": [(one["seconds"], one["gate_rss_bytes"]) for one in samples],
        "gate_live": [(one["seconds"], one["gate_live_bytes"]) for one in samples],
        "store": [(one["seconds"], one["store_rss_bytes"]) for one in samples],
        "store_less_maps": [
            (one["seconds"], one["store_rss_bytes"] - maps) for one, maps in zip(samples, held, strict=True)
        ],
    }


def accepted_per_second(recorder: Recorder, after_seconds: float) -> float:
    """The rate that was taken in the time that is judged."""
    (began, first), *_, (ended, last) = recorder.series("accepted", after_seconds)
    return (last - first) / (ended - began)


def judge(recorder: Recorder, tally: Tally, options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """The figures of the run, and a sentence for each way in which it failed."""
    warm_up = warm_up_seconds(options.minutes)
    trends = {name: trend(points) for name, points in series(recorder, warm_up).items()}
    rate = accepted_per_second(recorder, warm_up)
    failures = [*_too_steep(trends), *_too_little(rate, tally, options.rate)]
    figures = {
        "minutes": options.minutes,
        "warm_up_seconds": warm_up,
        "leak_mb_per_hour": options.leak,
        "accepted_per_second": round(rate, 1),
        "answers": dict(tally.items),
        "statuses": dict(tally.statuses),
        "trends": {name: {k: round(v, 3) for k, v in asdict(one).items()} for name, one in trends.items()},
        "most_mb_per_hour": MOST_MB_PER_HOUR,
        "failures": failures,
    }
    return figures, failures


def warm_up_seconds(minutes: float) -> float:
    """What comes before is not judged: 15 minutes, or a quarter of a shorter run."""
    return min(WARM_UP_SECONDS, WARM_UP_SHARE * minutes * 60)


def _too_steep(trends: dict[str, Trend]) -> list[str]:
    return [
        f"{name.replace('_', ' ')} may grow by {trends[name].high:.1f} MB/h; less than {most:g} is wanted"
        for name, most in MOST_MB_PER_HOUR.items()
        if trends[name].high >= most
    ]


def _too_little(rate: float, tally: Tally, wanted: float) -> list[str]:
    """A load that was not taken shows nothing."""
    failures = []
    if rate < LEAST_RATE_SHARE * wanted:
        failures.append(f"{rate:.0f} of {wanted:g} transactions a second were accepted")
    if set(tally.statuses) != {200}:
        failures.append(f"requests were answered {dict(tally.statuses)}")
    return failures


def report(figures: dict[str, Any]) -> str:
    """The verdict for the terminal."""
    lines = [f"{figures['accepted_per_second']:g} accepted a second, answers {figures['answers']}"]
    for name, one in figures["trends"].items():
        lines.append(
            f"{name.replace('_', ' '):15}  {one['mb_per_hour']:+7.2f} MB/h"
            f"  95 % interval {one['low']:+.2f} to {one['high']:+.2f}"
            f"  ({one['floors']} floors of {one['block_seconds']:g} s, variance x {one['variance_factor']:g})"
        )
    return "\n".join([*lines, *(f"FAIL: {line}" for line in figures["failures"] or ())] or ["PASS"])


def draw(recorder: Recorder, figures: dict[str, Any], file: Path) -> None:
    """The picture of the run."""
    leak = figures["leak_mb_per_hour"]
    title = f"{figures['accepted_per_second']:,.0f} transactions a second, three feeds"
    lines = [(name, name, recorder.series(f"{name}_rss_bytes")) for name in ("gate", "store")]
    plot_memory(
        file,
        title + (f", with a planted leak of {leak:g} MB/h" if leak else ""),
        [(f"{label}: {_slope(figures, label)}", colour, points) for label, colour, points in lines],
        warm_up_seconds=figures["warm_up_seconds"],
    )


def _slope(figures: dict[str, Any], name: str) -> str:
    one = figures["trends"][name]
    return f"{one['mb_per_hour']:+.1f} MB/h ({one['low']:+.1f} to {one['high']:+.1f})"


def main() -> int:
    """Run it; 0 when memory stayed flat."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=1000.0, help="transactions accepted a second")
    parser.add_argument("--leak", type=float, default=0.0, help="planted leak, MB/h")
    parser.add_argument("--out", type=Path, help="results without suffix; .json, .png and .jsonl are written")
    options = parser.parse_args()
    options.out = options.out or RESULTS / ("soak-leak" if options.leak else "soak")
    with service_to_soak(options.leak) as gate:
        recorder, tally = asyncio.run(soak(gate, options))
    figures, failures = judge(recorder, tally, options)
    options.out.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")
    draw(recorder, figures, options.out.with_suffix(".png"))
    print(report(figures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
