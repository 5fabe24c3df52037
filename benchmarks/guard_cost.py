"""What does the memory guard cost? CPU at its default intervals, and ingest with and without it.

Two gates run at once, one without the guard; the other has a memory limit, so that its ceiling is watched,
too. First both are idle, and the difference of their CPU time is the guard's. Then they take load in turns,
as fast as they answer. Each pair of turns gives two ratios, of transactions a second and of transactions a
second of CPU; of six pairs the least and the greatest ratio bound the median with 97 % confidence. Last a
detector is fed with a day of samples, since its windows fill with time.

    python -m benchmarks.guard_cost
"""

import argparse
import asyncio
import json
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from app.guard.leak.detector import Detector, DetectorRules
from benchmarks.services import Service, module, service, tidegate
from tests.support.payloads import Payloads, body_of
from tests.support.wire import Connection, connected, request_bytes

RESULTS = Path(__file__).parent / "results"
LIMIT_BYTES = 4 << 30
CONNECTIONS, BATCH_ITEMS = 3, 100
PAIRS = 6
MOST_CPU_PERCENT = 0.5
DAY_SECONDS, SAMPLE_SECONDS = 86_400, 5
MIB = 1024 * 1024


def idle_cpu_percent(guarded: Service, plain: Service, seconds: float) -> dict[str, float]:
    """CPU of each gate with its store while nothing comes in, percent of one core."""
    before = {"guarded": guarded.cpu_seconds(), "plain": plain.cpu_seconds()}
    started = time.monotonic()
    time.sleep(seconds)
    after = {"guarded": guarded.cpu_seconds(), "plain": plain.cpu_seconds()}
    took = time.monotonic() - started
    used = {
        name: 100 * (sum(after[name].values()) - sum(one.values())) / took for name, one in before.items()
    }
    return {name: round(percent, 3) for name, percent in used.items()}


class Rates(NamedTuple):
    """Accepted transactions a second, and a second of the CPU of gate and store."""

    per_second: float
    per_cpu_second: float


async def accepted(gate: Service, seconds: float, seed: int) -> Rates:
    """Over three connections, the next batch as soon as one is answered."""
    ends, payloads = time.monotonic() + seconds, Payloads(seed)

    async def work(connection: Connection) -> int:
        count = 0
        while time.monotonic() < ends:
            body = body_of(payloads.items(BATCH_ITEMS))
            reply = await connection.ask(request_bytes("POST", "/transactions", body))
            count += reply.json()["accepted"]
        return count

    started, used = time.monotonic(), sum(gate.cpu_seconds().values())
    async with connected(gate.url, CONNECTIONS) as connections:
        total = sum(await asyncio.gather(*map(work, connections)))
    used = sum(gate.cpu_seconds().values()) - used
    return Rates(total / (time.monotonic() - started), total / used)


def paired_ingest(guarded: Service, plain: Service, seconds: float) -> list[tuple[Rates, Rates]]:
    """Rates with and without the guard, pair by pair; who goes first changes."""
    pairs = []
    for number in range(PAIRS):
        order = [("guarded", guarded), ("plain", plain)][:: 1 if number % 2 else -1]
        rates = {
            name: asyncio.run(accepted(gate, seconds, number * 2 + at))
            for at, (name, gate) in enumerate(order)
        }
        pairs.append((rates["guarded"], rates["plain"]))
        print(f"pair {number + 1}: {rates['guarded']} with, {rates['plain']} without", flush=True)
    return pairs


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


def compared(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    """The pairs, and the median of their ratios with its bounds."""
    ratios = [with_guard / without for with_guard, without in pairs]
    bounds = {"low": min(ratios), "median": median(ratios), "high": max(ratios)}
    return {
        "with_and_without": [[round(rate) for rate in pair] for pair in pairs],
        "ratio": {name: round(ratio, 3) for name, ratio in bounds.items()},
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All three."""
    with (
        tidegate(memory_limit_bytes=LIMIT_BYTES) as guarded,
        service(*module("benchmarks.unguarded_gate")) as plain,
    ):
        time.sleep(options.settle)
        idle = idle_cpu_percent(guarded, plain, options.idle)
        pairs = paired_ingest(guarded, plain, options.turn)
    return {
        "idle_cpu_percent": idle,
        "guard_cpu_percent": round(idle["guarded"] - idle["plain"], 3),
        "per_second": compared([(one.per_second, other.per_second) for one, other in pairs]),
        "per_cpu_second": compared([(one.per_cpu_second, other.per_cpu_second) for one, other in pairs]),
        "detector_tick_microseconds": detector_microseconds(),
    }


def main() -> int:
    """Run it; 0 when the guard is cheap enough and ingest does not show it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--settle", type=float, default=10.0, help="seconds before the first measurement")
    parser.add_argument("--idle", type=float, default=120.0, help="seconds without load")
    parser.add_argument("--turn", type=float, default=8.0, help="seconds of load a turn")
    figures = measure(parser.parse_args())
    (RESULTS / "guard_cost.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    is_cheap = figures["guard_cpu_percent"] < MOST_CPU_PERCENT
    ratios = [figures[name]["ratio"] for name in ("per_second", "per_cpu_second")]
    return 0 if is_cheap and all(ratio["high"] >= 1 for ratio in ratios) else 1


if __name__ == "__main__":
    raise SystemExit(main())
