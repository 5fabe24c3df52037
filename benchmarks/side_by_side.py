"""The design Tidegate replaces and Tidegate, under the same load: resident memory over time in one plot.

Both run at once, each under three feeds that deliver the same transactions, `--rate` new ones a second. Of
Tidegate the gate and its store are counted together.

    python -m benchmarks.side_by_side --minutes 15 --rate 100
"""

import json
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.common.constant_rate import Answers, posting, three_feeds
from benchmarks.common.gates import module, service, tidegate
from benchmarks.common.plots import GREEN, RED, plot_memory
from benchmarks.common.results import RESULTS, options_of, write_json
from benchmarks.common.sampling import Recorder
from benchmarks.common.trend import MB, Point


def total(recorder: Recorder) -> list[Point]:
    """Seconds and resident bytes of all processes."""
    names = ("gate_rss_bytes", "store_rss_bytes")
    return [(one["seconds"], sum(one.get(name, 0) for name in names)) for one in recorder.samples]


def figures_of(points: list[Point], answers: Answers) -> dict[str, object]:
    """What was answered, and MB: first, last, most, and the first of each minute."""
    in_mb = [(seconds, round(amount / MB, 1)) for seconds, amount in points]
    minutes = {int(seconds // 60): amount for seconds, amount in reversed(in_mb)}
    return {
        "answers": dict(answers.items),
        "statuses": dict(answers.statuses),
        "first_mb": in_mb[0][1],
        "last_mb": in_mb[-1][1],
        "most_mb": max(amount for _, amount in in_mb),
        "mb_by_minute": [minutes[minute] for minute in sorted(minutes)],
    }


def main() -> None:
    """Run it, print the figures, write them and the plot."""
    parser = options_of(__doc__, minutes=15.0, rate=100.0)
    parser.add_argument("--out", type=Path, default=RESULTS / "side_by_side")
    options = parser.parse_args()
    answers = {}
    with service(*module("benchmarks.rivals.replaced")) as replaced, tidegate() as gate, ExitStack() as stack:
        recorders = {"replaced": Recorder(replaced, has_stats=False), "tidegate": Recorder(gate)}
        for name, recorder in recorders.items():
            load = posting(recorder.service.url, three_feeds(options.rate))
            answers[name] = stack.enter_context(load)
            stack.enter_context(recorder.running())
        time.sleep(options.minutes * 60)
    lines = {name: total(recorder) for name, recorder in recorders.items()}
    figures = {name: figures_of(lines[name], answers[name]) for name in lines}
    document = {"minutes": options.minutes, "rate": options.rate, "results": figures}
    write_json(options.out.with_suffix(".json"), document)
    replaced_line = "the replaced design: three maps without bounds", RED, lines["replaced"]
    gate_line = "Tidegate: gate and store together", GREEN, lines["tidegate"]
    title = f"The same load: {options.rate:g} transactions a second, each delivered by three feeds"
    plot_memory(options.out.with_suffix(".png"), title, [replaced_line, gate_line])
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
