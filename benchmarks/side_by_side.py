"""The design Tidegate replaces and Tidegate, under the same load: resident memory over time in one plot.

Both run at once, each under three feeds that deliver the same transactions. Of Tidegate the gate and its
store are counted together.

    python -m benchmarks.side_by_side --minutes 15 --rate 100
"""

import argparse
import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.load import Tally, load
from benchmarks.plot import plot_memory
from benchmarks.sampling import Recorder
from benchmarks.services import Service, module, service, tidegate
from benchmarks.slope import MB

RESULTS = Path(__file__).parent / "results"


async def compare(
    replaced: Service, gate: Service, options: argparse.Namespace
) -> tuple[dict[str, Recorder], dict[str, Tally]]:
    """Both under load; their samples and answers, by the name of the design."""
    recorders = {"replaced": Recorder(replaced, has_stats=False), "tidegate": Recorder(gate)}
    tallies = {}
    async with AsyncExitStack() as stack:
        for name, recorder in recorders.items():
            tallies[name] = await stack.enter_async_context(load(recorder.service.url, options.rate))
            await stack.enter_async_context(recorder.running())
        await asyncio.sleep(options.minutes * 60)
    return recorders, tallies


def total(recorder: Recorder) -> list[tuple[float, float]]:
    """Seconds and resident bytes of all processes."""
    names = ("gate_rss_bytes", "store_rss_bytes")
    return [(one["seconds"], sum(one.get(name, 0) for name in names)) for one in recorder.samples]


def by_minute(points: list[tuple[float, float]]) -> list[float]:
    """MB at the first sample of each minute."""
    first: dict[int, float] = {}
    for seconds, amount in points:
        first.setdefault(int(seconds // 60), round(amount / MB, 1))
    return list(first.values())


def main() -> None:
    """Run it, print the figures, write them and the plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--rate", type=float, default=100.0, help="transactions accepted a second")
    parser.add_argument("--out", type=Path, default=RESULTS / "side_by_side")
    options = parser.parse_args()
    with service(*module("benchmarks.replaced")) as replaced, tidegate() as gate:
        recorders, tallies = asyncio.run(compare(replaced, gate, options))
    lines = {name: total(recorder) for name, recorder in recorders.items()}
    figures = {
        name: {
            "answers": dict(tallies[name].items),
            "statuses": dict(tallies[name].statuses),
            "first_mb": round(points[0][1] / MB, 1),
            "last_mb": round(points[-1][1] / MB, 1),
            "most_mb": round(max(value for _, value in points) / MB, 1),
            "mb_by_minute": by_minute(points),
        }
        for name, points in lines.items()
    }
    options.out.with_suffix(".json").write_text(
        json.dumps({"minutes": options.minutes, "rate": options.rate, "results": figures}, indent=2) + "\n"
    )
    plot_memory(
        options.out.with_suffix(".png"),
        f"The same load: {options.rate:g} transactions a second, each delivered by three feeds",
        [
            ("the replaced design: three maps without bounds", "replaced", lines["replaced"]),
            ("Tidegate: gate and store together", "tidegate", lines["tidegate"]),
        ],
    )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
