"""What is left of a gate after each attack of `attacks.py`: its memory, and what ordinary clients felt.

Each attack meets a gate of its own with the embedded store, first without any memory limit and then with one.
Beside it an ordinary client posts 100 transactions a second over four connections. Told are the client's
p50 and p99 before and during the attack, how many of its posts were not answered 200, the gate's resident
memory before, at its peak and 60 seconds after, and when it had come back to within 25 MiB of the start.
A gate that has not come back after 60 seconds fails the run.

    python -m benchmarks.storms [--only heads] [--seconds 15] [--limit-mib 256] [--workers 2]

`--only` takes the attacks whose name has this in it; with `--limit-mib 0` there is no second gate.
"""

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from benchmarks.common.background import sampled
from benchmarks.common.constant_rate import ordinary, post_when_due
from benchmarks.common.gates import Service, tidegate
from benchmarks.common.plan import times_ms
from benchmarks.common.results import RESULTS, markdown, options_of, write_json
from benchmarks.storms import attacks
from tests.support.processes import wait_until

MIB = 1024 * 1024
CALM_SECONDS, BACK_SECONDS, SAMPLE_SECONDS = 8.0, 60.0, 0.25
BACK_MIB = 25.0
HEAD = (
    "attack",
    "limit",
    "p50 / p99 before, ms",
    "during, ms",
    "posts not answered 200",
    "RSS before → peak → after, MiB",
    "within 25 MiB after",
)


def endure(gate: Service, attack: str, seconds: float) -> dict[str, Any]:
    """Calm, attack and recovery of one gate; times in milliseconds where their name does not say seconds.

    `back_after_seconds` is when memory was within 25 MiB of the start, from the end of the attack; None when
    it was not.
    """

    def resident_mib() -> float:
        return round(gate.resident()["gate"] / MIB, 1)

    calm, before = post_when_due(gate.url, ordinary(CALM_SECONDS)), resident_mib()
    with sampled(resident_mib, SAMPLE_SECONDS) as readings:
        with ProcessPoolExecutor(1, get_context("spawn")) as attackers:
            attacker = attackers.submit(attacks.run, attack, gate.url, seconds)
            storm = post_when_due(gate.url, ordinary(seconds))
            attacker.result()
        ended = time.monotonic()
        came_back = wait_until(lambda: resident_mib() <= before + BACK_MIB, BACK_SECONDS, SAMPLE_SECONDS)
        waited = round(time.monotonic() - ended, 1)
    calm_ms, storm_ms = (times_ms(answers.seconds()) for answers in (calm, storm))
    return {
        "calm_p50": round(calm_ms["p50_ms"], 1),
        "calm_p99": round(calm_ms["p99_ms"], 1),
        "storm_p50": round(storm_ms["p50_ms"], 1),
        "storm_p99": round(storm_ms["p99_ms"], 1),
        "statuses": dict(storm.statuses),
        "before_mib": before,
        "peak_mib": max(readings),
        "after_mib": resident_mib(),
        "back_after_seconds": waited if came_back else None,
    }


def cells(one: dict[str, Any]) -> tuple[str, ...]:
    """A row of the table."""
    total, back = sum(one["statuses"].values()), one["back_after_seconds"]
    return (
        one["attack"],
        f"{one['limit_mib']} MiB" if one["limit_mib"] else "none",
        "{calm_p50:g} / {calm_p99:g}".format(**one),
        "{storm_p50:g} / {storm_p99:g}".format(**one),
        f"{total - one['statuses'].get(200, 0)} of {total}",
        "{before_mib:g} → {peak_mib:g} → {after_mib:g}".format(**one),
        "no" if back is None else f"{back:g} s",
    )


def main() -> int:
    """Run every attack; 1 when a gate did not come back."""
    parsed = options_of(__doc__, seconds=12.0, limit_mib=256, workers=1, only="", out=RESULTS / "storms.json")
    options, outcomes = parsed.parse_args(), []
    for name in (one for one in attacks.ATTACKS if options.only in one):
        for limit_mib in (None, options.limit_mib) if options.limit_mib else (None,):
            limits = {"memory_limit_bytes": limit_mib * MIB} if limit_mib else {"memory_machine_ratio": 0}
            with tidegate(workers=options.workers, **limits) as gate:
                told = {"attack": name, "limit_mib": limit_mib}
                outcomes.append(told | endure(gate, name, options.seconds))
            table = markdown([HEAD, *map(cells, outcomes)]).splitlines()
            print(*(table[-1:] if len(outcomes) > 1 else table), sep="\n", flush=True)
    if not options.only and options.workers == 1:
        write_json(options.out, outcomes)
    return 1 if any(one["back_after_seconds"] is None for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
