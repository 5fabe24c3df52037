"""The cases: what each run of a case is made of, drawn anew for each seed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from tests.support.simulation.memory import (
    HOUR,
    Bursts,
    Curve,
    Garbage,
    Kept,
    Leak,
    Load,
    Memory,
    saturating,
    step,
    wave,
)

LEAST_ACTED_UPON = 10.0
Change = Callable[[Memory, Random], None]


@dataclass(frozen=True)
class Case:
    """`leak` MiB/h (0: none) has to be found `within` seconds of its onset; a run lasts `hours` at most."""

    name: str
    change: Change
    leak: float = 0.0
    within: float = 0.0
    hours: float = 24.0

    @property
    def is_for_report(self) -> bool:
        """Whether the leak is too slow to be acted upon."""
        return 0 < self.leak < LEAST_ACTED_UPON

    def memory(self, seed: int) -> Memory:
        """The process of one run."""
        random = Random(f"{self.name}/{seed}")
        memory = service(random)
        self.change(memory, random)
        return memory


def service(random: Random) -> Memory:
    """A service at rest: small bursts, a small sawtooth, a warm-up."""
    return Memory(
        random,
        base=random.uniform(60, 140),
        bursts=Bursts(
            Random(random.random()),
            every=random.uniform(600, 3600),
            size=random.uniform(2, 8),
            kept=kept(random, 0.1, 0.6),
        ),
        garbage=Garbage(
            Random(random.random()), size=random.uniform(0.5, 4), period=random.uniform(60, 1800)
        ),
        warmup=saturating(random.uniform(10, 40), random.uniform(60, 400)),
        explained_share=random.uniform(0.8, 1.2),
        requests=random.uniform(0.5, 4),
        wander=random.uniform(0.1, 0.6),
    )


def kept(random: Random, least: float, most: float) -> Kept:
    """What an allocator keeps of freed memory; a trim gives back half of that to nearly all of it."""
    return Kept(share=random.uniform(least, most), trimmed=random.uniform(0.5, 0.95))


def steady(memory: Memory, random: Random) -> None:
    """Leave the memory as it is."""


def sawtooth(memory: Memory, random: Random) -> None:
    """Garbage that takes minutes or hours to be collected."""
    memory.garbage.size, memory.garbage.period = random.uniform(5, 30), random.uniform(300, 3 * HOUR)


def bursty(memory: Memory, random: Random) -> None:
    """Large bursts, often, of which much stays."""
    bursts = memory.bursts
    bursts.every, bursts.size = random.uniform(600, 1800), random.uniform(8, 25)
    bursts.kept = kept(random, 0.2, 0.7)


def very_bursty(memory: Memory, random: Random) -> None:
    """Larger ones yet, up to the size of the service and more."""
    bursty(memory, random)
    memory.bursts.size = random.uniform(15, 40)


def slow_warmup(memory: Memory, random: Random) -> None:
    """Fills up beyond the end of the warm-up, and imports late."""
    first = saturating(random.uniform(30, 120), random.uniform(300, 900))
    late = step(random.uniform(5, 20), random.uniform(600, 2 * HOUR), random.uniform(1, 60))
    memory.warmup = lambda now: first(now) + late(now)


def daily_wave(memory: Memory, random: Random) -> None:
    """Load of day and night, explained but for a fifth."""
    carry(memory, random, wave(random.uniform(20, 60), random.random()))
    memory.explained_share = random.uniform(0.7, 0.95)


def explained_step(memory: Memory, random: Random) -> None:
    """40 MiB more load, which maps and requests in flight explain."""
    carry(memory, random, step(40, random.uniform(1, 20) * HOUR, random.uniform(5, 600)))


def unexplained_step(memory: Memory, random: Random) -> None:
    """40 MiB more, for good, with nothing to explain it."""
    grown = step(40, random.uniform(1, 20) * HOUR, random.uniform(5, 300))
    before = memory.warmup
    memory.warmup = lambda now: before(now) + grown(now)


def evening(memory: Memory, random: Random) -> None:
    """Load falls for hours and what it held stays with the allocator: unexplained, but no growth."""
    start, size, length = random.uniform(1, 6) * HOUR, random.uniform(30, 90), random.uniform(1, 10) * HOUR
    carry(memory, random, lambda now: size * (1 - min(1.0, max(0.0, (now - start) / length))))
    memory.loads[-1].kept = kept(random, 0.6, 1.0)


def carry(memory: Memory, random: Random, curve: Curve) -> None:
    """Add load."""
    memory.loads.append(Load(curve, kept(random, 0.1, 0.6)))


def leaking(rate: float, *others: Change) -> Change:
    """A leak that starts after the warm-up, on top of the others."""

    def change(memory: Memory, random: Random) -> None:
        for other in others:
            other(memory, random)
        memory.leak = Leak(
            rate,
            onset=random.uniform(0.5, 3) * HOUR,
            slack=random.uniform(0, 2),
            arena=random.choice([0.13, 1.0, 1.0]),
            doubling=random.choice([0.0, 0.0, 0.2]),
        )

    return change


def from_the_start(memory: Memory, random: Random) -> None:
    """The leak starts during the warm-up; it can be found from its end on."""
    memory.leak = replace(memory.leak, onset=random.uniform(0, 0.5) * HOUR)


def for_an_hour(memory: Memory, _: Random) -> None:
    """The leak stops after an hour."""
    memory.leak = replace(memory.leak, end=memory.leak.onset + HOUR)


def together(*changes: Change) -> Change:
    """One after the other."""

    def change(memory: Memory, random: Random) -> None:
        for one in changes:
            one(memory, random)

    return change


LEAK_FREE = [
    Case("steady", steady),
    Case("sawtooth", sawtooth),
    Case("daily wave", daily_wave),
    Case("warm-up", slow_warmup),
    Case("bursts", bursty),
    Case("larger bursts", very_bursty),
    Case("+40 MB, explained", explained_step),
    Case("+40 MB, unexplained", unexplained_step),
    Case("load falls, memory kept", evening),
    Case("bursts, sawtooth and wave", together(bursty, sawtooth, daily_wave)),
]
LEAKS = [
    Case("leak 1200 MB/h", leaking(1200), 1200, 20 * 60, 6),
    Case("leak 300 MB/h", leaking(300), 300, 20 * 60, 6),
    Case("leak 50 MB/h", leaking(50), 50, 3 * HOUR, 8),
    Case("leak 10 MB/h", leaking(10), 10, 3 * HOUR, 8),
    Case("leak 2 MB/h", leaking(2), 2, 32 * HOUR, 36),
]
HARDER_LEAKS = [
    Case("10 MB/h from the warm-up on", together(leaking(10), from_the_start), 10, 3.5 * HOUR, 8),
    Case("10 MB/h and a sawtooth", leaking(10, sawtooth), 10, 6 * HOUR, 12),
    Case("10 MB/h and bursts", leaking(10, bursty), 10, 6 * HOUR, 12),
    Case("10 MB/h and a daily wave", leaking(10, daily_wave), 10, 24 * HOUR, 28),
    Case("10 MB/h while load falls", leaking(10, evening), 10, 24 * HOUR, 28),
    Case("300 MB/h for one hour", together(leaking(300), for_an_hour), 300, 20 * 60, 6),
    Case("300 MB/h, bursts and a sawtooth", leaking(300, bursty, sawtooth), 300, 30 * 60, 6),
]
