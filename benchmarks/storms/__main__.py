"""What is left of a gate after each attack of `attacks.py`: its memory, and what ordinary clients felt.

Each attack meets a gate of its own with the embedded store, first without any memory limit and then with one.
Beside it an ordinary client posts 100 transactions a second over four connections. Told are the client's
p50 and p99 before and during the attack, how many of its posts were not answered 200, the gate's resident
memory before, at its peak and 60 seconds after, and when it had come back to within 25 MiB of the start.
A gate that has not come back after 60 seconds fails the run.

    python -m benchmarks.storms [--only heads] [--seconds 15] [--limit-mib 256]    # 0: no second gate
"""

import asyncio
import sys
import time
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

from benchmarks.common.constant_rate import Answers, Rate, post_at_rate
from benchmarks.common.gates import Service, tidegate
from benchmarks.common.results import RESULTS, options_of, write_json
from benchmarks.common.tables import markdown
from benchmarks.common.times import percentile
from benchmarks.storms import attacks
from benchmarks.storms.attacks import Attack
from tests.support.processes import wait_until

MIB = 1024 * 1024
CONNECTIONS, POSTS_PER_SECOND = 4, 100.0
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


@dataclass(frozen=True)
class Outcome:
    """One attack on one gate; times in milliseconds where their name does not say seconds."""

    attack: str
    limit_mib: int | None
    calm_p50: float
    calm_p99: float
    storm_p50: float
    storm_p99: float
    statuses: dict[int, int]
    before_mib: float
    peak_mib: float
    after_mib: float
    back_after_seconds: float | None
    """When memory was within 25 MiB of the start, from the end of the attack; None when it was not."""

    def cells(self) -> tuple[str, ...]:
        """A row of the table."""
        total, fine = sum(self.statuses.values()), self.statuses.get(200, 0)
        return (
            self.attack,
            f"{self.limit_mib} MiB" if self.limit_mib else "none",
            f"{self.calm_p50:g} / {self.calm_p99:g}",
            f"{self.storm_p50:g} / {self.storm_p99:g}",
            f"{total - fine} of {total}",
            f"{self.before_mib:g} → {self.peak_mib:g} → {self.after_mib:g}",
            "no" if self.back_after_seconds is None else f"{self.back_after_seconds:g} s",
        )


def resident_mib(gate: Service) -> float:
    """Resident memory of the gate's process now."""
    return round(gate.resident()["gate"] / MIB, 1)


async def watch(gate: Service, readings: list[float]) -> None:
    """Read the gate's memory over and over until cancelled."""
    while True:
        readings.append(resident_mib(gate))
        await asyncio.sleep(SAMPLE_SECONDS)


async def post_ordinarily(gate: Service, seconds: float) -> Answers:
    """Post new transactions for so long; waiting for an answer does not slow the rate down."""
    answers, now, posts = Answers(), time.time_ns(), range(int(seconds * POSTS_PER_SECOND))
    bodies = [b'{"signature":"ordinary-%d-%d","payload":{"fee":25000}}' % (now, number) for number in posts]
    await post_at_rate(gate.url, bodies, Rate(POSTS_PER_SECOND, ["default"], CONNECTIONS), answers)
    return answers


async def endure(gate: Service, attack: Attack, seconds: float, limit_mib: int | None) -> Outcome:
    """Calm, attack and recovery of one gate."""
    calm = await post_ordinarily(gate, CALM_SECONDS)
    before, readings = resident_mib(gate), list[float]()
    watching = asyncio.create_task(watch(gate, readings))
    arguments = attack.name, gate.url, seconds
    attacker = get_context("spawn").Process(target=attacks.run, args=arguments, daemon=True)
    attacker.start()
    storm = await post_ordinarily(gate, seconds)
    await asyncio.to_thread(attacker.join)
    ended = time.monotonic()
    came_back = await asyncio.to_thread(
        wait_until, lambda: resident_mib(gate) <= before + BACK_MIB, BACK_SECONDS, SAMPLE_SECONDS
    )
    waited = round(time.monotonic() - ended, 1)
    watching.cancel()
    return Outcome(
        attack=attack.name,
        limit_mib=limit_mib,
        calm_p50=milliseconds(calm, 50),
        calm_p99=milliseconds(calm, 99),
        storm_p50=milliseconds(storm, 50),
        storm_p99=milliseconds(storm, 99),
        statuses=dict(storm.statuses),
        before_mib=before,
        peak_mib=max(readings),
        after_mib=resident_mib(gate),
        back_after_seconds=waited if came_back else None,
    )


def milliseconds(answers: Answers, percent: float) -> float:
    """A percentile of the times of posts that were answered."""
    return round(1000 * percentile(answers.seconds(), percent), 1)


def main() -> int:
    """Run every attack; 1 when a gate did not come back."""
    parser = options_of(__doc__, seconds=12.0, limit_mib=256)
    parser.add_argument("--only", default="", help="attacks whose name has this in it")
    parser.add_argument("--out", type=Path, default=RESULTS / "storms.json")
    options = parser.parse_args()
    outcomes = []
    for attack in (one for one in attacks.ATTACKS if options.only in one.name):
        for limit_mib in (None, options.limit_mib) if options.limit_mib else (None,):
            limits = {"memory_limit_bytes": limit_mib * MIB} if limit_mib else {}
            with tidegate(**limits) as gate:
                outcomes.append(asyncio.run(endure(gate, attack, options.seconds, limit_mib)))
            table = markdown([HEAD, *(one.cells() for one in outcomes)]).splitlines()
            print(*(table[-1:] if len(outcomes) > 1 else table), sep="\n", flush=True)
    if not options.only:
        write_json(options.out, [asdict(one) for one in outcomes])
    return 1 if any(one.back_after_seconds is None for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
