"""What is left of a gate after each attack of `attacks.py`: its memory, and what ordinary clients felt.

Each attack meets a gate of its own with the embedded store, first without any memory limit and then with one.
Beside it an ordinary client posts 100 transactions a second over four connections. Told are the client's
p50 and p99 before and during the attack, how many of its posts were not answered 200, the gate's resident
memory before, at its peak and 60 seconds after, and when it had come back to within 25 MiB of the start.
A gate that has not come back after 60 seconds fails the run.

    python -m benchmarks.storms [--only heads] [--seconds 15] [--limit-mib 256]
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

from benchmarks.common.constant_rate import Answers, post_when_due
from benchmarks.common.gates import Service, tidegate
from benchmarks.common.percentiles import percentile
from benchmarks.common.results import RESULTS, options_of, write_json
from benchmarks.storms import attacks
from benchmarks.storms.attacks import Attack

MIB = 1024 * 1024
CONNECTIONS, POSTS_PER_SECOND = 4, 100.0
CALM_SECONDS, BACK_SECONDS, SAMPLE_SECONDS = 8.0, 60.0, 0.25
BACK_MIB = 25.0


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


class Memory:
    """Resident memory of one gate's process, read over and over."""

    def __init__(self, gate: Service) -> None:
        self._gate = gate
        self.peak_mib = 0.0

    @property
    def mib(self) -> float:
        """Resident MiB of the gate now."""
        now = self._gate.resident()["gate"] / MIB
        self.peak_mib = max(self.peak_mib, now)
        return now

    async def watch(self) -> None:
        """Keep the peak up to date until cancelled."""
        while True:
            _ = self.mib
            await asyncio.sleep(SAMPLE_SECONDS)

    async def comes_back(self, most_mib: float) -> float | None:
        """Seconds until it is at most this; None when that takes more than 60 seconds."""
        started = time.monotonic()
        while (waited := time.monotonic() - started) < BACK_SECONDS:
            if self.mib <= most_mib:
                return round(waited, 1)
            await asyncio.sleep(SAMPLE_SECONDS)
        return None


async def post_ordinarily(gate: Service, seconds: float) -> Answers:
    """Post new transactions for so long; waiting for an answer does not slow the rate down."""
    answers, started = Answers(), time.monotonic()

    def schedule(first: int) -> Iterator[tuple[float, str, bytes]]:
        for number in range(first, int(seconds * POSTS_PER_SECOND), CONNECTIONS):
            body = b'{"signature":"ordinary-%d-%d","payload":{"fee":25000}}' % (int(1000 * started), number)
            yield started + number / POSTS_PER_SECOND, "default", body

    await asyncio.gather(*(post_when_due(gate.url, schedule(at), answers) for at in range(CONNECTIONS)))
    return answers


async def endure(gate: Service, attack: Attack, seconds: float, limit_mib: int | None) -> Outcome:
    """Calm, attack and recovery of one gate."""
    memory = Memory(gate)
    calm = await post_ordinarily(gate, CALM_SECONDS)
    before = memory.mib
    watch = asyncio.create_task(memory.watch())
    attacker = get_context("spawn").Process(
        target=attacks.run, args=(attack.name, gate.url, seconds), daemon=True
    )
    attacker.start()
    storm = await post_ordinarily(gate, seconds)
    await asyncio.to_thread(attacker.join)
    watch.cancel()
    back = await memory.comes_back(before + BACK_MIB)
    return Outcome(
        attack=attack.name,
        limit_mib=limit_mib,
        calm_p50=milliseconds(calm, 50),
        calm_p99=milliseconds(calm, 99),
        storm_p50=milliseconds(storm, 50),
        storm_p99=milliseconds(storm, 99),
        statuses=dict(storm.statuses),
        before_mib=round(before, 1),
        peak_mib=round(memory.peak_mib, 1),
        after_mib=round(memory.mib, 1),
        back_after_seconds=back,
    )


def milliseconds(answers: Answers, percent: float) -> float:
    """A percentile of the times of posts that were answered."""
    return round(1000 * percentile(answers.seconds(), percent), 1)


def line(outcome: Outcome) -> str:
    """A row of the table."""
    limit = f"{outcome.limit_mib} MiB" if outcome.limit_mib else "none"
    back = "no" if outcome.back_after_seconds is None else f"{outcome.back_after_seconds:g} s"
    total, fine = sum(outcome.statuses.values()), outcome.statuses.get(200, 0)
    return (
        f"| {outcome.attack} | {limit} | {outcome.calm_p50:g} / {outcome.calm_p99:g} "
        f"| {outcome.storm_p50:g} / {outcome.storm_p99:g} | {total - fine} of {total} "
        f"| {outcome.before_mib:g} → {outcome.peak_mib:g} → {outcome.after_mib:g} | {back} |"
    )


HEADING = (
    "| attack | limit | p50 / p99 before, ms | during, ms | posts not answered 200 "
    "| RSS before → peak → after, MiB | within 25 MiB after |\n|---|---|---|---|---|---|---|"
)


def main() -> int:
    """Run every attack; 1 when a gate did not come back."""
    parser = options_of(__doc__)
    parser.add_argument("--only", default="", help="attacks whose name has this in it")
    parser.add_argument("--seconds", type=float, default=12.0, help="of each attack")
    parser.add_argument("--limit-mib", type=int, default=256, help="memory limit of the second gate; 0: none")
    parser.add_argument("--out", type=Path, default=RESULTS / "storms.json")
    options = parser.parse_args()
    print(HEADING, flush=True)
    outcomes = []
    for attack in (one for one in attacks.ATTACKS if options.only in one.name):
        for limit_mib in (None, options.limit_mib) if options.limit_mib else (None,):
            limits = {"memory_limit_bytes": limit_mib * MIB} if limit_mib else {}
            with tidegate(**limits) as gate:
                outcome = asyncio.run(endure(gate, attack, options.seconds, limit_mib))
            print(line(outcome), flush=True)
            outcomes.append(outcome)
    if not options.only:
        write_json(options.out, [asdict(one) for one in outcomes])
    return 1 if any(one.back_after_seconds is None for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
