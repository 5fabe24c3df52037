"""What does the memory guard cost? CPU at its default intervals, and ingest with and without it.

Two gates run at once, one without the guard; the other has a memory limit, so that its ceiling is watched,
too. First both are idle, and the difference of their CPU time is the guard's. Then they take load in turns,
as fast as they answer. Each pair of turns gives two ratios, of transactions a second and of transactions a
second of CPU; of six pairs the least and the greatest ratio bound the median with 97 % confidence. Last a
detector is fed with a day of samples, since its windows fill with time.

    python -m benchmarks.guard_cost
"""

import argparse
import json
import time
from statistics import median
from typing import Any

from app.guard.leak.detector import Detector, DetectorRules
from benchmarks.common.altered_gates import altered
from benchmarks.common.gates import Service, service, tidegate
from benchmarks.common.loader_process import run_loader
from benchmarks.common.plan import Measure, Plan
from benchmarks.common.results import RESULTS, options_of, write_json
from benchmarks.common.rounds import Side, rounds

LIMIT_BYTES = 4 << 30
PARTS = ("gate", "store")
MOST_CPU_PERCENT = 0.5
DAY_SECONDS, SAMPLE_SECONDS = 86_400, 5
MIB = 1024 * 1024


def idle_cpu_percent(gates: dict[str, Service], seconds: float) -> dict[str, float]:
    """CPU of each gate with its store while nothing comes in, percent of one core."""
    targets = {name: gate.target() for name, gate in gates.items()}
    before = {name: target.cpu_seconds() for name, target in targets.items()}
    started = time.monotonic()
    time.sleep(seconds)
    spent = {name: target.spent_since(before[name]) for name, target in targets.items()}
    took = time.monotonic() - started
    return {name: round(100 * sum(one[part] for part in PARTS) / took, 3) for name, one in spent.items()}


def running_side(name: str, gate: Service) -> Side:
    """A gate that goes on running from turn to turn."""
    return Side(name, lambda plan: run_loader(plan, gate.target()))


def per_cpu_second(one: Measure) -> float:
    """Transactions a second of CPU of gate and store."""
    return one.transactions / sum(one.cpu_seconds[part] for part in PARTS)


def detector_microseconds() -> dict[str, float]:
    """Mean and most of a detector's tick in the last hour of a day of samples."""
    detector, took = Detector(DetectorRules()), []
    for second in range(0, DAY_SECONDS, SAMPLE_SECONDS):
        resident = 80 * MIB + (second * 7919) % (4 * MIB)
        started = time.perf_counter()
        detector.tick(float(second), resident, 0)
        took.append(time.perf_counter() - started)
    last = took[-3600 // SAMPLE_SECONDS :]
    return {"mean": round(1e6 * sum(last) / len(last), 1), "most": round(1e6 * max(last), 1)}


def compared(guarded: list[float], plain: list[float]) -> dict[str, Any]:
    """The pairs, and the median of their ratios with its bounds."""
    pairs = list(zip(guarded, plain, strict=True))
    ratios = [with_guard / without for with_guard, without in pairs]
    bounds = {"low": min(ratios), "median": median(ratios), "high": max(ratios)}
    return {
        "with_and_without": [[round(rate) for rate in pair] for pair in pairs],
        "ratio": {name: round(ratio, 3) for name, ratio in bounds.items()},
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """CPU while idle, ingest in turns, and the detector."""
    plan = Plan("enhanced", batch_items=100, connections=3, copies=1, seconds=options.turn)
    with tidegate(memory_limit_bytes=LIMIT_BYTES) as guarded, service(*altered("unguarded")) as plain:
        gates = {"guarded": guarded, "plain": plain}
        time.sleep(options.settle)
        idle = idle_cpu_percent(gates, options.idle)
        sides = [running_side(name, gate) for name, gate in gates.items()]
        taken = list(rounds(sides, [plan, plan], options.pairs).values())
    return {
        "idle_cpu_percent": idle,
        "guard_cpu_percent": round(idle["guarded"] - idle["plain"], 3),
        "per_second": compared(*([one.rate for one in side] for side in taken)),
        "per_cpu_second": compared(*(list(map(per_cpu_second, side)) for side in taken)),
        "detector_tick_microseconds": detector_microseconds(),
    }


def main() -> int:
    """Run it; 0 when the guard is cheap enough and ingest does not show it."""
    parser = options_of(__doc__)
    parser.add_argument("--settle", type=float, default=10.0, help="seconds before the first measurement")
    parser.add_argument("--idle", type=float, default=120.0, help="seconds without load")
    parser.add_argument("--turn", type=float, default=8.0, help="seconds of load a turn")
    parser.add_argument("--pairs", type=int, default=6, help="turns of each gate")
    figures = measure(parser.parse_args())
    write_json(RESULTS / "guard_cost.json", figures)
    print(json.dumps(figures, indent=2))
    is_cheap = figures["guard_cpu_percent"] < MOST_CPU_PERCENT
    ratios = [figures[name]["ratio"] for name in ("per_second", "per_cpu_second")]
    return 0 if is_cheap and all(ratio["high"] >= 1 for ratio in ratios) else 1


if __name__ == "__main__":
    raise SystemExit(main())
