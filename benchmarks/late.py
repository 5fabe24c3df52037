"""Does the gate find out who delivers late, and what does that cost its store?

Two gates run at once under the same load, one of them without the sample (TIDEGATE_LATE_SAMPLE=0). Three
feeds deliver the same; one sends 1 % again after 12 s and 2 % after 60 s, which the window of 5 s does
not cover. The answers tell how many were accepted again: the truth that `GET /sources` is compared with.

    python -m benchmarks.late --seconds 150
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

from benchmarks.common.constant_rate import FEEDS, Answers, Schedule, post_when_due
from benchmarks.common.gates import Service, tidegate
from benchmarks.common.results import RESULTS, options_of, taken_here, write_json

BATCH_ITEMS = 100
BEHIND_SECONDS = 0.05
REPLAYING = FEEDS[-1]
# After so many seconds those places of each batch of 100 are sent again.
AGAIN = {12: slice(0, 1), 60: slice(1, 3)}
PAYLOAD = {"memo": "x" * 200}
WITHIN, WINDOW_SECONDS, MOST_CPU = 0.25, (60, 75), 1.05


def items(number: int) -> list[dict[str, object]]:
    """The transactions of a batch."""
    return [{"signature": f"late-{number}-{at}", "payload": PAYLOAD} for at in range(BATCH_ITEMS)]


def batches(place: int, rate: float, started: float, until: float) -> Schedule:
    """When a feed posts each batch: in turn one of them is first, and the others follow."""
    for number in count():
        behind = (number + place) % len(FEEDS) * BEHIND_SECONDS
        due = started + number * BATCH_ITEMS / rate + behind
        if due > until:
            return
        yield due, FEEDS[place], json.dumps(items(number)).encode()


def replays(after: float, part: slice, rate: float, started: float, until: float) -> Schedule:
    """When the replaying feed posts a part of each batch again."""
    for due, _, _ in batches(0, rate, started, until - after):
        number = round((due - started) * rate // BATCH_ITEMS)
        yield due + after, REPLAYING, json.dumps(items(number)[part]).encode()


async def load(gate: Service, rate: float, seconds: float) -> int:
    """Run the feeds; how many were accepted again."""
    started = time.monotonic() + 1
    until = started + seconds
    again = Answers()
    feeds = [batches(place, rate, started, until) for place in range(len(FEEDS))]
    late = [replays(after, part, rate, started, until) for after, part in AGAIN.items()]
    await asyncio.gather(
        *(post_when_due(gate.url, schedule, Answers()) for schedule in feeds),
        *(post_when_due(gate.url, schedule, again) for schedule in late),
    )
    return again.items["accepted"]


async def measure(rate: float, seconds: float) -> dict[str, Any]:
    """Load both gates; what the one found, what is true, and what the stores of both needed."""
    with tidegate() as gate, tidegate(late_sample=0) as plain:
        targets = [one.target() for one in (gate, plain)]
        before = [target.cpu_seconds() for target in targets]
        true, _ = await asyncio.gather(*(load(one, rate, seconds) for one in (gate, plain)))
        spent = [target.spent_since(at) for target, at in zip(targets, before, strict=True)]
        found = gate.get("/sources")
    return {
        **compared(found, true),
        "store_cpu_seconds": {"with": spent[0]["store"], "without": spent[1]["store"]},
        "store_cpu_ratio": spent[0]["store"] / spent[1]["store"],
        "gate_cpu_ratio": spent[0]["gate"] / spent[1]["gate"],
    }


def compared(found: dict[str, Any], true: int) -> dict[str, Any]:
    """The share of late duplicates of each source beside the truth, and the recommended window."""
    shares = {}
    for source in found["sources"]:
        late = true if source["source"] == REPLAYING else 0
        told = source["late"]["share"] if source["late"] else 0.0
        shares[source["source"]] = {"told": told, "true": late / source["accepted"]}
    return {"late_share": shares, "recommended_window_seconds": found["recommended_window_seconds"]}


def failures(figures: dict[str, Any]) -> Iterator[str]:
    """What is not as wanted."""
    for source, share in figures["late_share"].items():
        if abs(share["told"] - share["true"]) > WITHIN * share["true"]:
            yield f"{source}: {share['told']:.4f} late, in truth {share['true']:.4f}"
    least, most = WINDOW_SECONDS
    if not least <= figures["recommended_window_seconds"] <= most:
        yield f"a window of {figures['recommended_window_seconds']} s is recommended"
    if figures["store_cpu_ratio"] > MOST_CPU:
        yield f"the store needs {figures['store_cpu_ratio']:.3f} times the CPU"


def main() -> int:
    """Run it; 0 when the figures are near the truth and the store is hardly busier."""
    parser = options_of(__doc__)
    parser.add_argument("--rate", type=float, default=1000, help="new transactions a second")
    parser.add_argument("--seconds", type=float, default=150, help="time of load, above 60")
    options: argparse.Namespace = parser.parse_args()
    figures = asyncio.run(measure(options.rate, options.seconds))
    write_json(RESULTS / "late.json", taken_here() | figures)
    print(json.dumps(figures, indent=2))
    found = list(failures(figures))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
