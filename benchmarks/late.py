"""Does the gate find out who delivers late, and what does that cost its store?

Two gates run at once under the same load, one of them without the sample (TIDEGATE_LATE_SAMPLE=0). Three
feeds deliver the same; one sends 1 % again after 12 s and 2 % after 60 s, which the window of 5 s does
not cover. The answers tell how many were accepted again: the truth that `GET /sources` is compared with.
`--rate` are new transactions a second, and `--seconds` of load have to be more than 60.

    python -m benchmarks.late --seconds 150
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from app.ingest.sampled_transactions import MOST_LOOK_SECONDS
from benchmarks.common.constant_rate import post_when_due
from benchmarks.common.gates import Service, tidegate
from benchmarks.common.loader import Post, Stream
from benchmarks.common.plan import ADDRESSES, FEEDS
from benchmarks.common.results import RESULTS, options_of, taken_here, write_json

BATCH_ITEMS = 100
BEHIND_SECONDS = 0.05
REPLAYING = FEEDS[-1]
# After so many seconds those places of each batch of 100 are sent again.
AGAIN = {12: slice(0, 1), 60: slice(1, 3)}
PAYLOAD = {"memo": "x" * 200}
WITHIN, WINDOW_SECONDS, MOST_CPU = 0.25, (60, 75), 1.05


def batch(number: int, part: slice = slice(None)) -> bytes:
    """The transactions of a batch, or a part of them, as a body."""
    items = [{"signature": f"late-{number}-{at}", "payload": PAYLOAD} for at in range(BATCH_ITEMS)]
    return json.dumps(items[part]).encode()


def load(gate: Service, rate: float, seconds: float) -> int:
    """Run the feeds; how many were accepted again."""
    started, path = time.monotonic() + 1, ADDRESSES["items"]
    due = [started + number * BATCH_ITEMS / rate for number in range(int(seconds * rate / BATCH_ITEMS))]

    def deliveries(place: int) -> Iterator[Post]:
        """A feed's batches: in turn one of the feeds is first, and the others follow."""
        for number, at in enumerate(due):
            yield at + (number + place) % len(FEEDS) * BEHIND_SECONDS, batch(number)

    def replays(after: float, part: slice) -> Iterator[Post]:
        for number, at in enumerate(due):
            if at + after <= started + seconds:
                yield at + after, batch(number, part)

    feeds = [Stream(path + feed, deliveries(place)) for place, feed in enumerate(FEEDS)]
    late = [Stream(path + REPLAYING, replays(after, part)) for after, part in AGAIN.items()]
    accepted = post_when_due(gate.url, [*feeds, *late]).checked().items["accepted"]
    return accepted - BATCH_ITEMS * len(due)


def measure(rate: float, seconds: float) -> dict[str, Any]:
    """Load both gates; what the one found, what is true, and what the stores of both needed."""
    with tidegate() as gate, tidegate(late_sample=0) as plain, ThreadPoolExecutor() as threads:
        targets = [one.target() for one in (gate, plain)]
        before = [target.cpu_seconds() for target in targets]
        true, _ = threads.map(partial(load, rate=rate, seconds=seconds), (gate, plain))
        spent = [target.spent_since(at) for target, at in zip(targets, before, strict=True)]
        time.sleep(MOST_LOOK_SECONDS + 1)  # what came last is looked up by then
        found = gate.get("/sources")
    return {
        **compared(found, true),
        "store_cpu_seconds": {"with": spent[0]["store"], "without": spent[1]["store"]},
        **{f"{part}_cpu_ratio": spent[0][part] / spent[1][part] for part in ("store", "gate")},
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
    """Measure; 0 when the figures are near the truth and the store is hardly busier."""
    options = options_of(__doc__, rate=1000.0, seconds=150.0).parse_args()
    figures = measure(options.rate, options.seconds)
    write_json(RESULTS / "late.json", taken_here() | figures)
    print(json.dumps(figures, indent=2))
    found = list(failures(figures))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
