"""The design Tidegate replaces and Tidegate, under the same load: resident memory over time in one plot.

Both run at once, each under three feeds that deliver the same transactions, `--rate` new ones a second. Of
Tidegate the gate and its store are counted together.

    python -m benchmarks.side_by_side --minutes 15 --rate 100
"""

import json
import time
from contextlib import ExitStack
from functools import partial

from benchmarks.common.background import sampled
from benchmarks.common.constant_rate import Answers, posting, three_feeds
from benchmarks.common.gates import Service, module, service, tidegate
from benchmarks.common.plots import GREEN, MB, RED, plot_memory
from benchmarks.common.results import RESULTS, options_of, write_json

SAMPLE_SECONDS = 5.0
LINES = {
    "replaced": ("the replaced design: three maps without bounds", RED),
    "tidegate": ("Tidegate: gate and store together", GREEN),
}

Point = tuple[float, float]


def sample(side: Service, started: float) -> Point:
    """Seconds and resident bytes of all processes."""
    return round(time.monotonic() - started, 3), sum(side.resident().values())


def figures_of(points: list[Point], answers: Answers) -> dict[str, object]:
    """What was answered, and MB: first, last, most, and the first of each minute."""
    minutes = {int(seconds // 60): round(amount / MB, 1) for seconds, amount in reversed(points)}
    return {
        "answers": dict(answers.items),
        "statuses": dict(answers.statuses),
        "first_mb": round(points[0][1] / MB, 1),
        "last_mb": round(points[-1][1] / MB, 1),
        "most_mb": round(max(amount for _, amount in points) / MB, 1),
        "mb_by_minute": [minutes[minute] for minute in sorted(minutes)],
    }


def main() -> None:
    """Run both side by side, print the figures, write them and the plot."""
    options = options_of(__doc__, minutes=15.0, rate=100.0, out=RESULTS / "side_by_side").parse_args()
    with service(*module("benchmarks.rivals.replaced")) as replaced, tidegate() as gate, ExitStack() as stack:
        sides, started = {"replaced": replaced, "tidegate": gate}, time.monotonic()
        answers, points = {}, {}
        for name, side in sides.items():
            answers[name] = stack.enter_context(posting(side.url, three_feeds(options.rate)))
            points[name] = stack.enter_context(sampled(partial(sample, side, started), SAMPLE_SECONDS))
        time.sleep(options.minutes * 60)
    figures = {name: figures_of(points[name], answers[name]) for name in sides}
    document = {"minutes": options.minutes, "rate": options.rate, "results": figures}
    write_json(options.out.with_suffix(".json"), document)
    title = f"The same load: {options.rate:g} transactions a second, each delivered by three feeds"
    lines = [(*LINES[name], points[name]) for name in sides]
    plot_memory(options.out.with_suffix(".png"), title, lines)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
