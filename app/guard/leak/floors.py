"""Floors: the least memory seen in each block of time, which short bursts do not touch."""

from collections import deque
from dataclasses import dataclass
from itertools import islice

# A window is forgotten when nothing was read for longer than this many of its blocks.
GAP_BLOCKS = 2


@dataclass(frozen=True, slots=True)
class Floor:
    """Of one block: the middle of its time, its least resident bytes, its least and most explained bytes."""

    at_seconds: float
    resident_bytes: int
    explained_bytes: int
    most_explained_bytes: int

    @property
    def unexplained_bytes(self) -> int:
        """What is resident without a reason. The two minima lie at different moments, both at rest."""
        return self.resident_bytes - self.explained_bytes

    def with_reading(self, resident_bytes: int, explained_bytes: int) -> "Floor":
        """With another reading of the block; itself when that changes nothing."""
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
    """The floors of the last `blocks` blocks of `block_seconds` each, oldest first. Memory is constant."""

    def __init__(self, block_seconds: float, blocks: int) -> None:
        self.block_seconds = block_seconds
        self._floors: deque[Floor] = deque(maxlen=blocks)
        self._open: Floor | None = None
        self._start = self._last = 0.0

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

    def last(self, count: int) -> list[Floor]:
        """The latest `count` floors, or as many as there are, oldest first."""
        return list(islice(self._floors, max(0, len(self._floors) - count), None))

    def add(self, at_seconds: float, resident_bytes: int, explained_bytes: int) -> bool:
        """Take a reading; true when it closed a block. A gap or a clock set back empties the window first."""
        if not 0 <= at_seconds - self._last <= GAP_BLOCKS * self.block_seconds:
            self.clear()
        self._last = at_seconds
        closed = self._open is not None and at_seconds >= self._start + self.block_seconds
        if closed and self._open is not None:
            self._floors.append(self._open)
            self._open = None
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
        self._open = None
