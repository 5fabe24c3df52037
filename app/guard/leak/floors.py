"""Floors, the least memory of each block of time, and whether a window of them rises steadily.

Readings of memory are noisy: requests come and go within seconds. The least values of a block of 30 s are not
touched by bursts that are shorter, so floors show what a process holds at rest. An example of a block:

    at          0    5    10   15   20   25 s
    resident    61   64   95   75   62   62 MiB      -> 61 MiB, the least resident bytes
    explained   2    4    30   15   2    1  MiB      -> 1 MiB, the least explained (30 MiB, the most)

Its floor is 61 - 1 = 60 MiB of unexplained bytes.

A leak rises in most parts of its window, a step in one or two. The eleven floors 60, 66, 72, ... 120 MiB, cut
into five parts, rise by some 12 MiB from the median of each part to that of the next: four rises of four, so
they rise steadily. Floors of 60, 60, 60, 60, 60, 120, ... 120 MiB have the medians 60, 60, 90, 120 and 120,
and rise in two parts of four at most: a step, by which no window is alarmed.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from statistics import median

from app.guard.leak.statistics import mann_kendall, theil_sen

# A window is forgotten when nothing was read for longer than this many of its blocks.
GAP_BLOCKS = 2


@dataclass(frozen=True, slots=True)
class Floor:
    """What one block of time leaves: the middle of it, least resident, least and most explained bytes."""

    at_seconds: float
    resident_bytes: int
    explained_bytes: int
    most_explained_bytes: int

    @property
    def unexplained_bytes(self) -> int:
        """What is resident without a reason. The two minima lie at different moments, both at rest."""
        return self.resident_bytes - self.explained_bytes

    def with_reading(self, resident_bytes: int, explained_bytes: int) -> "Floor":
        """Return the floor with another reading of its block; itself when that changes nothing."""
        if resident_bytes >= self.resident_bytes and (
            self.explained_bytes <= explained_bytes <= self.most_explained_bytes
        ):
            return self
        return Floor(
            self.at_seconds,
            min(resident_bytes, self.resident_bytes),
            min(explained_bytes, self.explained_bytes),
            max(explained_bytes, self.most_explained_bytes),
        )


class Floors:
    """Keeps the floors of the last `blocks` blocks of `block_seconds` each, oldest first, and no readings."""

    def __init__(self, block_seconds: float, blocks: int) -> None:
        self.block_seconds = block_seconds
        self._floors: deque[Floor] = deque(maxlen=blocks)
        self._open: Floor | None = None
        self._start = self._last = 0.0
        self._slope: float | None = None

    def __len__(self) -> int:
        return len(self._floors)

    @property
    def is_full(self) -> bool:
        """Whether the window reaches back all its length."""
        return len(self._floors) == self._floors.maxlen

    @property
    def latest(self) -> Floor | None:
        """The floor of the last closed block; while there is none, of the open one."""
        return self._floors[-1] if self._floors else self._open

    def all(self) -> list[Floor]:
        """All floors, oldest first."""
        return list(self._floors)

    def last(self, count: int) -> list[Floor]:
        """The latest `count` floors, or as many as there are, oldest first."""
        return list(islice(self._floors, max(0, len(self._floors) - count), None))

    @property
    def slope_bytes_per_second(self) -> float:
        """The slope of all floors, computed anew once they have changed; 0 with fewer than two."""
        if self._slope is None:
            self._slope = slope_bytes_per_second(self._floors)
        return self._slope

    def add(self, at_seconds: float, resident_bytes: int, explained_bytes: int) -> bool:
        """Take a reading; true when it closed a block. A gap or a clock set back empties the window first."""
        if not 0 <= at_seconds - self._last <= GAP_BLOCKS * self.block_seconds:
            self.clear()
        self._last = at_seconds
        closed = self._open is not None and at_seconds >= self._start + self.block_seconds
        if closed and self._open is not None:
            self._floors.append(self._open)
            self._open = self._slope = None
        if self._open is None:
            blocks = (at_seconds - self._start) // self.block_seconds if closed else 0
            self._start = self._start + blocks * self.block_seconds if closed else at_seconds
            middle = self._start + self.block_seconds / 2
            self._open = Floor(middle, resident_bytes, explained_bytes, explained_bytes)
        else:
            self._open = self._open.with_reading(resident_bytes, explained_bytes)
        return closed

    def clear(self) -> None:
        """Forget all floors and the open block."""
        self._floors.clear()
        self._open = self._slope = None


@dataclass(frozen=True, slots=True)
class Demand:
    """What a window's floors have to show.

    `bytes_per_second`: the least slope. The window is cut into `parts`, and from part to part at least
    `rises` of the `parts - 1` rises have to reach `rise_share` of what that slope would bring. Resident bytes
    have to rise by `resident_share` of it. `p_value`: at most this by Mann-Kendall.
    """

    bytes_per_second: float
    parts: int
    rises: int
    rise_share: float = 0.5
    resident_share: float = 0.5
    p_value: float = 0.001


def slope_bytes_per_second(floors: Sequence[Floor]) -> float:
    """Return Theil-Sen's slope of what is unexplained; 0 with fewer than two floors."""
    if len(floors) < 2:  # noqa: PLR2004 - one floor has no slope
        return 0.0
    return theil_sen([(floor.at_seconds, floor.unexplained_bytes) for floor in floors]).value


def rises_steadily(floors: Sequence[Floor], demand: Demand) -> bool:
    """Tell whether the floors meet the demand; cheap questions come first: most calls cost microseconds."""
    return (
        len(floors) >= demand.parts
        and floors[-1].unexplained_bytes > floors[0].unexplained_bytes
        and _parts_rise(floors, demand)
        and _resident_rises(floors, demand)
        and slope_bytes_per_second(floors) >= demand.bytes_per_second
        and _is_upwards(floors, demand)
    )


def _parts_rise(floors: Sequence[Floor], demand: Demand) -> bool:
    levels = [median(part) for part in _parts([floor.unexplained_bytes for floor in floors], demand.parts)]
    part_seconds = (floors[-1].at_seconds - floors[0].at_seconds) / demand.parts
    least = demand.rise_share * demand.bytes_per_second * part_seconds
    rising = sum(later - earlier >= least for earlier, later in pairwise(levels))
    return rising >= demand.rises and levels[-1] - levels[0] >= least * (demand.parts - 1)


def _resident_rises(floors: Sequence[Floor], demand: Demand) -> bool:
    """What was explained and is now kept by the allocator is no growth: resident bytes have to rise too."""
    first, *_, last = _parts([floor.resident_bytes for floor in floors], demand.parts)
    seconds = floors[-1].at_seconds - floors[0].at_seconds
    return median(last) - median(first) >= demand.resident_share * demand.bytes_per_second * seconds


def _is_upwards(floors: Sequence[Floor], demand: Demand) -> bool:
    test = mann_kendall([floor.unexplained_bytes for floor in floors])
    return test.z > 0 and test.p_value <= demand.p_value


def _parts(values: Sequence[int], parts: int) -> list[Sequence[int]]:
    edges = [len(values) * number // parts for number in range(parts + 1)]
    return [values[start:end] for start, end in pairwise(edges)]
