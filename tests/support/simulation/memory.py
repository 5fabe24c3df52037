"""A model of the resident memory of a long-running Python service, in MiB.

What is resident is the sum of parts, each with its own way of growing and of not coming back:

- **bursts** arrive at random. While one lasts its bytes are live; what free memory of earlier bursts covers
  is reused, the rest is new. Afterwards a share of what was new stays with the allocator: a permanent step
  up, smaller from burst to burst, as only a burst larger than those before needs more.
- **load** is what the service holds for its work and `explained` tells of it, with an error. What falls is
  partly kept by the allocator and reused when load rises again.
- **garbage** in reference cycles grows until a collection takes all of it: a sawtooth.
- **warm-up**: imports, caches and pools fill up, fast first, then slower.
- **leak**: live bytes nobody frees. It first fills holes of the heap (`slack`), then grows in whole arenas.
- **noise**: a slowly wandering part and, in each reading, what requests hold just then. In a reading that
  stands for a block of six, the latter is left out, since the least of six does not show it.

Collecting and trimming (`trim`) takes all garbage and what the allocator keeps in pages that are free as a
whole; pages something live lies in stay (`Kept`). It never takes from the leak. Every figure that varies
between services is drawn anew for each run.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, pi, sin
from random import Random

HOUR = 3600.0
MIB = 1 << 20
PAGE = 4096
READING_SECONDS = 5.0
# Of free memory, what new data finds room in.
REUSED = 0.85
Curve = Callable[[float], float]


@dataclass
class Kept:
    """MiB the allocator keeps of freed memory.

    `free` pages a trim gives back; it keeps their addresses (`given_back`), which are touched again before
    the heap grows, so trimming often does not make it grow. `pinned` pages stay, something live lies in each.
    """

    share: float
    trimmed: float
    free: float = 0.0
    pinned: float = 0.0
    given_back: float = 0.0

    @property
    def held(self) -> float:
        """The part of the memory that is resident."""
        return self.free + self.pinned

    def room(self, wanted: float) -> float:
        """How much of what is wanted finds room without growing the heap."""
        return min(wanted, REUSED * (self.held + self.given_back))

    def resident(self, wanted: float) -> float:
        """What is resident while `wanted` more is live for a while."""
        room = self.room(wanted)
        return max(self.held, room) + wanted - room

    def release(self, wanted: float) -> None:
        """End a while of use: a share of what was touched anew stays."""
        room = self.room(wanted)
        touched = self.share * min(self.given_back, max(0.0, room - self.held))
        self.given_back -= touched
        self.free += touched
        self.keep(wanted - room)

    def keep(self, freed: float) -> None:
        """What made the heap grow was freed; a share of it stays."""
        kept = self.share * freed
        self.free += self.trimmed * kept
        self.pinned += (1 - self.trimmed) * kept

    def reuse(self, taken: float) -> None:
        """Live bytes take the place of kept ones, for good."""
        there = self.held + self.given_back
        left = 1 - min(1.0, taken / there) if there else 0.0
        self.free, self.pinned, self.given_back = left * self.free, left * self.pinned, left * self.given_back

    def trim(self) -> None:
        """Give free pages back."""
        self.given_back += self.free
        self.free = 0.0


@dataclass
class Bursts:
    """`every` seconds on average, of `size` MiB (median)."""

    random: Random
    every: float
    size: float
    kept: Kept
    _next: float = -1.0
    _ends: float = -1.0
    _live: float = 0.0

    def at(self, now: float) -> float:
        """MiB resident because of bursts."""
        if self._next < 0:
            self._next = now + self.random.expovariate(1 / self.every)
        if self._live and now >= self._ends:
            self.kept.release(self._live)
            self._live = 0.0
        if now >= self._next:
            self.kept.release(self._live)
            self._next = now + self.random.expovariate(1 / self.every)
            self._ends = now + self.random.uniform(20, 180)
            self._live = min(6 * self.size, self.random.lognormvariate(0, 0.6) * self.size)
        return self.kept.resident(self._live)

    @property
    def in_flight(self) -> float:
        """MiB of the burst that lasts."""
        return self._live


@dataclass
class Load:
    """Live MiB as a curve over time, and what the allocator keeps of it when it falls."""

    curve: Curve
    kept: Kept
    _live: float = -1.0

    def at(self, now: float) -> float:
        """MiB resident because of load."""
        live = self.curve(now)
        rise = live - self._live if self._live >= 0 else 0.0
        if rise < 0:
            self.kept.keep(-rise)
        elif rise > 0:
            self.kept.reuse(REUSED * rise)
        self._live = live
        return live + self.kept.held

    @property
    def live(self) -> float:
        """MiB the service could account for."""
        return self._live


@dataclass
class Garbage:
    """Grows to about `size` MiB in about `period` seconds, then is collected."""

    random: Random
    size: float
    period: float
    _since: float = 0.0
    _length: float = 0.0

    def at(self, now: float) -> float:
        """MiB of garbage not yet collected."""
        if now - self._since >= self._length:
            self._since, self._length = now, self.period * self.random.uniform(0.7, 1.3)
        return self.size * (now - self._since) / self.period

    def trim(self, now: float) -> None:
        """Collect."""
        self._since = now


@dataclass
class Leak:
    """`rate` MiB an hour from `onset` to `end` seconds, in steps of `arena` MiB after `slack` MiB of holes.

    `doubling` of it is a table that doubles when it is full, so that it grows in ever larger steps.
    """

    rate: float = 0.0
    onset: float = 0.0
    end: float = float("inf")
    slack: float = 0.0
    arena: float = 1.0
    doubling: float = 0.0

    def at(self, now: float) -> float:
        """MiB resident because of the leak."""
        leaked = self.rate * max(0.0, min(now, self.end) - self.onset) / HOUR
        if not leaked:
            return 0.0
        table, least = 0.0, self.doubling * leaked
        while 0 < table < least or table == 0 < least:
            table = 2 * table or 0.5
        smooth = max(0.0, (1 - self.doubling) * leaked - self.slack)
        return self.arena * (smooth // self.arena) + table


@dataclass
class Memory:
    """A process: `read` gives resident and explained bytes, `trim` is gc.collect() and a heap trim."""

    random: Random
    base: float
    bursts: Bursts
    garbage: Garbage
    loads: list[Load] = field(default_factory=list)
    leak: Leak = field(default_factory=Leak)
    warmup: Curve = lambda _: 0.0
    explained_share: float = 1.0
    requests: float = 2.0
    wander: float = 0.4
    _drift: float = 0.0
    _last: float = 0.0

    def read(self, now: float) -> tuple[int, int]:
        """Resident and explained bytes."""
        loads = sum(load.at(now) for load in self.loads)
        fade = exp((self._last - now) / 60)
        self._drift = fade * self._drift + self.random.gauss(0, self.wander) * (1 - fade * fade) ** 0.5
        resident = self.base + self.warmup(now) + loads + self.bursts.at(now) + self.garbage.at(now)
        resident += self.leak.at(now) + self._drift
        if now - self._last <= READING_SECONDS:
            resident += self.random.expovariate(1 / self.requests)
        self._last = now
        explained = self.explained_share * (self.bursts.in_flight + sum(load.live for load in self.loads))
        return int(resident * MIB) // PAGE * PAGE, int(explained * MIB)

    def trim(self, now: float) -> None:
        """Collect garbage and give free memory back."""
        self.garbage.trim(now)
        for kept in (self.bursts.kept, *(load.kept for load in self.loads)):
            kept.trim()


def wave(size: float, phase: float, period: float = 24 * HOUR) -> Curve:
    """A curve from 0 to `size` MiB and back in each period; `phase` is from 0 to 1."""
    return lambda now: size * (1 - sin(2 * pi * (now / period + phase))) / 2


def step(size: float, at: float, ramp: float) -> Curve:
    """A curve from 0 to `size` MiB within `ramp` seconds."""
    return lambda now: size * min(1.0, max(0.0, (now - at) / ramp))


def saturating(size: float, scale: float) -> Curve:
    """Towards `size` MiB, two thirds of the way in `scale` seconds."""
    return lambda now: size * (1 - exp(-now / scale))
