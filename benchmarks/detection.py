"""Which leaks are found, how soon, and how often is something else taken for one?

Runs the simulation of tests/support/simulation with more runs and cases than the test, and beside Tidegate's
detector, on the same traces: the raw rule (resident +50 MiB within 5 minutes) and least-squares slopes as
PromQL's deriv() computes them, over one and two hours, with the threshold of the slow tier's proof.

The thresholds were chosen with seeds below 2,000; from FIRST_SEED on they are new to it. Each case has
`--runs`, of `--hours` where it has no leak.

    python -m benchmarks.detection --runs 300
"""

import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from random import Random
from statistics import median

import numpy as np

from app.guard.leak.confirmation import PROOF_FACTOR
from app.guard.leak.detector import Detector
from app.guard.leak.detector_rules import SLOW_SHARE, DetectorRules
from benchmarks.common.results import RESULTS, options_of, write_json
from tests.support.simulation.cases import HARDER_LEAKS, LEAK_FREE, LEAKS, Case
from tests.support.simulation.memory import HOUR
from tests.support.simulation.replay import BLOCK_SECONDS, onset, replay

FIRST_SEED = 5000
RULES = DetectorRules()
CASES = {case.name: case for case in (*LEAK_FREE, *LEAKS, *HARDER_LEAKS)}
SLOPE_BYTES_PER_HOUR = SLOW_SHARE * PROOF_FACTOR * RULES.slow_leak_bytes_per_hour

Run = dict[str, float | None]
"""When each detector fired first."""
Array = np.ndarray[tuple[int], np.dtype[np.float64]]


def growths(resident: Array) -> Array:
    """How much more is resident at each reading than five minutes before, or than at the first reading."""
    size = int(RULES.leak_window_seconds / BLOCK_SECONDS)
    before: Array = np.concatenate([np.repeat(resident[:1], size), resident[:-size]])
    return resident - before


def slopes(seconds: Array, resident: Array, range_seconds: float) -> Array:
    """Bytes an hour of the range that ends at each reading, as PromQL's `deriv(rss[range])` computes them.

    These are least-squares slopes, by sums relative to the first reading; 0 until half of a range is there.
    """
    size, half = int(range_seconds / BLOCK_SECONDS), int(range_seconds / BLOCK_SECONDS / 2)
    x, y = seconds - seconds[0], resident - resident[0]
    sums = np.cumsum([np.ones_like(x), x, y, x * y, x * x], axis=1)
    sums[:, size:] -= sums[:, :-size].copy()
    n, sx, sy, sxy, sxx = sums[:, half - 1 :]
    found: Array = np.zeros_like(x)
    found[half - 1 :] = HOUR * (sxy - sx * sy / n) / (sxx - sx * sx / n)
    return found


def others(case: Case, seed: int) -> Run:
    """When the other rules fire first after the warm-up; nobody trims for them."""
    memory = case.memory(seed)
    readings = ((at, memory.read(at)[0]) for at in np.arange(0, case.hours * HOUR, BLOCK_SECONDS))
    seconds, resident = np.array([one for one in readings if one[0] >= RULES.leak_warmup_seconds], float).T
    fires = {
        "raw rule": growths(resident) >= RULES.leak_growth_bytes,
        "deriv 1h": slopes(seconds, resident, HOUR) >= SLOPE_BYTES_PER_HOUR,
        "deriv 2h": slopes(seconds, resident, 2 * HOUR) >= SLOPE_BYTES_PER_HOUR,
    }
    return {name: float(seconds[fired.argmax()]) if fired.any() else None for name, fired in fires.items()}


def run(job: tuple[str, float, int]) -> Run:
    """One run of a case, by its name, for so many hours at most: when each detector fired first.

    In seconds from the start of the leak, below 0 when it fired before; None when it never did.
    """
    name, hours, seed = job
    case = replace(CASES[name], hours=hours)
    outcome, start = replay(case, seed), onset(case, seed)
    at = outcome.daily_at if case.is_for_report else outcome.action_at
    fired = {"tidegate": at, **others(case, seed)}
    return {each: None if when is None else when - start for each, when in fired.items()}


def summary(case: Case, delays: list[float], runs: int) -> dict[str, float | None]:
    """The percent of runs in which a detector fired or found the leak, after those seconds; minutes to it."""
    if not case.leak:
        return {"fired_percent": round(100 * len(delays) / runs, 1)}
    found = [delay for delay in delays if delay >= 0]
    return {
        "found_percent": round(100 * sum(delay <= case.within for delay in found) / runs, 1),
        "fired_before_percent": round(100 * (len(delays) - len(found)) / runs, 1),
        "median_minutes": round(median(found) / 60, 1) if found else None,
        "longest_minutes": round(max(found) / 60, 1) if found else None,
    }


def tick_microseconds(hours: float = 24) -> dict[str, float]:
    """What a tick costs on average over a day, quiet and with a leak that is examined again and again."""
    costs = {}
    for name, rate in (("steady", 0.0), ("leaking 10 MiB/h", 10 * 2**20 / HOUR)):
        random, detector = Random(1), Detector(RULES)
        times = [5.0 * number for number in range(int(hours * 720))]
        readings = [(at, int(2**27 + at * rate + random.expovariate(1 / 2**20))) for at in times]
        started = time.perf_counter()
        for at, resident in readings:
            detector.tick(at, resident, 0)
        costs[name] = round((time.perf_counter() - started) / len(readings) * 1e6, 2)
    return costs


def main() -> None:
    """Run all cases and write the table."""
    options, table = options_of(__doc__, runs=300, hours=24.0).parse_args(), dict[str, object]()
    costs = tick_microseconds()
    with ProcessPoolExecutor() as pool:
        for case in CASES.values():
            hours = case.hours if case.leak else options.hours
            jobs = [(case.name, hours, seed) for seed in range(FIRST_SEED, FIRST_SEED + options.runs)]
            runs = list(pool.map(run, jobs, chunksize=5))
            told: dict[str, object] = {"within_minutes": case.within / 60 or None, "hours": hours}
            for name in runs[0]:
                delays = [delay for one in runs if (delay := one[name]) is not None]
                told[name] = summary(case, delays, len(runs))
            table[case.name] = told
            print(case.name, json.dumps(told), flush=True)
    results = {"runs": options.runs, "first_seed": FIRST_SEED, "tick_microseconds": costs, "cases": table}
    write_json(RESULTS / "detection.json", results)


if __name__ == "__main__":
    main()
