"""Does memory stay flat under a constant load of real payloads? Fails when it does not.

Runs the gate with its embedded store under three feeds that deliver the same transactions, and judges the
trend of resident memory after the warm-up (see trend.py for the method): of the gate as it
is, and of the store less the bytes its maps hold, since those follow the load to the last percent and no load
is that even. The trend of the store as it is is shown beside it.

Of the gate a second figure is judged, more strictly: the bytes its program holds by its allocators' own
count. Resident bytes move in steps of pages, so their interval takes longer to become narrow.

`--rate` new transactions come each second; `--leak` plants a leak of so many MB an hour; with `--consumer` a
consumer leases and commits all of them meanwhile, and nearly all have to be handed to it.

    make soak MINUTES=60
    make soak MINUTES=60 CONSUMER=1
    make soak MINUTES=60 LEAK_MB_PER_HOUR=20    # a leak is planted; this run has to fail
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.common.background import sampled
from benchmarks.common.constant_rate import Answers, posting, three_feeds
from benchmarks.common.gates import Service, module, service, tidegate
from benchmarks.common.plots import GATE, MB, STORE, plot_memory
from benchmarks.common.readers import Consumed, Wants, beside, consume
from benchmarks.common.results import RESULTS, options_of, write_json
from benchmarks.soak.sampling import Figures, figures_of
from benchmarks.soak.trend import SECONDS_AN_HOUR, Point, Trend, trend

WARM_UP_SECONDS, WARM_UP_SHARE = 900.0, 0.25
# What the upper bound of the 95 % interval has to stay below, by the series that is judged.
MOST_MB_PER_HOUR = {"gate": 5.0, "gate_live": 2.0, "store_less_maps": 5.0}
LEAST_RATE_SHARE = 0.95
# The signatures that a gate remembers rise and fall by 3 MB every 16 s, and a floor has to be near the least.
SAMPLE_SECONDS = 2.0
LEASE_ITEMS = 500
MAPS = ("signatures", "transactions", "observations")
SERIES = {"gate": "gate_rss_bytes", "gate_live": "gate_live_bytes", "store": "store_rss_bytes"}
SERIES |= {"accepted": "accepted"}


def service_to_soak(leak_mb_per_hour: float) -> AbstractContextManager[Service]:
    """The gate as it is shipped, or one that keeps Python objects it should let go of."""
    if not leak_mb_per_hour:
        return tidegate()
    bytes_per_second = leak_mb_per_hour * MB / SECONDS_AN_HOUR
    return service(*module("tests.support.leaky_gate"), "objects", str(bytes_per_second))


def series(samples: Sequence[Figures], after_seconds: float) -> dict[str, list[Point]]:
    """Bytes over seconds of the gate, resident and live, of the store, and of the store less its maps.

    Samples in which a figure could not be read are left out; `accepted` counts transactions.
    """
    read = [one for one in samples if one["seconds"] >= after_seconds and {*SERIES.values()} <= one.keys()]
    maps = [sum(one[f"{name}_bytes"] for name in MAPS) for one in read]
    less = [(one["seconds"], one["store_rss_bytes"] - held) for one, held in zip(read, maps, strict=True)]
    plain = {name: [(one["seconds"], one[figure]) for one in read] for name, figure in SERIES.items()}
    return plain | {"store_less_maps": less}


def judge(samples: Sequence[Figures], answers: Answers, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of the run, and a sentence for each way in which it failed."""
    warm_up = warm_up_seconds(options.minutes)
    found = series(samples, warm_up)
    (began, first), *_, (ended, last) = found.pop("accepted")
    rate = (last - first) / (ended - began)
    trends = {name: trend(points) for name, points in found.items()}
    return {
        "minutes": options.minutes,
        "warm_up_seconds": warm_up,
        "leak_mb_per_hour": options.leak,
        "accepted_per_second": round(rate, 1),
        "answers": dict(answers.items),
        "statuses": dict(answers.statuses),
        "trends": {name: {k: round(v, 3) for k, v in asdict(one).items()} for name, one in trends.items()},
        "most_mb_per_hour": MOST_MB_PER_HOUR,
        "failures": list(_failures(trends, rate, options.rate, answers)),
    }


def warm_up_seconds(minutes: float) -> float:
    """What comes before is not judged: 15 minutes, or a quarter of a shorter run."""
    return min(WARM_UP_SECONDS, WARM_UP_SHARE * minutes * 60)


def _failures(trends: dict[str, Trend], rate: float, wanted: float, answers: Answers) -> Iterator[str]:
    for name, most in MOST_MB_PER_HOUR.items():
        if trends[name].high >= most:
            told = f"{name.replace('_', ' ')} may grow by {trends[name].high:.1f} MB/h"
            yield f"{told}; less than {most:g} is wanted"
    # A load that was not taken shows nothing.
    if rate < LEAST_RATE_SHARE * wanted:
        yield f"{rate:.0f} of {wanted:g} transactions a second were accepted"
    if set(answers.statuses) != {200}:
        yield f"requests were answered {dict(answers.statuses)}"


def handed_too_little(consumed: Consumed, accepted: int) -> list[str]:
    """A consumer that was not handed what was accepted shows nothing either."""
    if consumed.missed or consumed.transactions < LEAST_RATE_SHARE * accepted:
        return [f"{consumed.transactions} of {accepted} were handed out, {consumed.missed} missed"]
    return []


def report(figures: dict[str, Any]) -> str:
    """The verdict for the terminal."""
    lines = [f"{figures['accepted_per_second']:g} accepted a second, answers {figures['answers']}"]
    for name, one in figures["trends"].items():
        lines.append(
            f"{name.replace('_', ' '):15}  {one['mb_per_hour']:+7.2f} MB/h"
            f"  95 % interval {one['low']:+.2f} to {one['high']:+.2f}"
            f"  ({one['floors']} floors of {one['block_seconds']:g} s, variance x {one['variance_factor']:g})"
        )
    return "\n".join([*lines, *([f"FAIL: {line}" for line in figures["failures"]] or ["PASS"])])


def draw(samples: Sequence[Figures], figures: dict[str, Any], file: Path) -> None:
    """The picture of the run."""
    title = f"{figures['accepted_per_second']:,.0f} transactions a second, three feeds"
    if leak := figures["leak_mb_per_hour"]:
        title += f", with a planted leak of {leak:g} MB/h"
    lines = []
    for name, colour in (("gate", GATE), ("store", STORE)):
        one = figures["trends"][name]
        label = f"{name}: {one['mb_per_hour']:+.1f} MB/h ({one['low']:+.1f} to {one['high']:+.1f})"
        resident = f"{name}_rss_bytes"
        lines.append((label, colour, [(at["seconds"], at[resident]) for at in samples if resident in at]))
    plot_memory(file, title, lines, figures["warm_up_seconds"])


def main() -> int:
    """Soak a gate, and write .json, .png and .samples.json; 0 when memory stayed flat."""
    options = options_of(__doc__, minutes=60.0, rate=1000.0, leak=0.0, consumer=False, out=None).parse_args()
    name = "soak-leak" if options.leak else "soak-consumer" if options.consumer else "soak"
    out: Path = options.out or RESULTS / name
    with service_to_soak(options.leak) as gate, ExitStack() as stack:
        started = time.monotonic()

        def sample() -> Figures:
            return {"seconds": round(time.monotonic() - started, 3)} | figures_of(gate)

        if options.consumer:
            port = gate.target().port
            reader = stack.enter_context(beside(consume, port, Wants("soak", LEASE_ITEMS, is_watched=False)))
        with (
            posting(gate.url, three_feeds(options.rate)) as answers,
            sampled(sample, SAMPLE_SECONDS) as samples,
        ):
            time.sleep(options.minutes * 60)
    write_json(out.with_suffix(".samples.json"), samples)
    figures = judge(samples, answers, options)
    if options.consumer:
        figures["consumer"] = vars(reader.result)
        figures["failures"] += handed_too_little(reader.result, answers.items["accepted"])
    write_json(out.with_suffix(".json"), figures)
    draw(samples, figures, out.with_suffix(".png"))
    print(report(figures))
    return 1 if figures["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
