"""Floors: the least memory seen in each block of time, which short bursts do not touch."""

from collections import deque
from dataclasses import dataclass
from itertools import islice

# A window is forgotten when nothing was read for longer than this many of its blocks.
GAP_BLOCKS = 2


@dataclass(frozen=True, slots=True)
class Floor:
    """Of one block: the middle of its time, its least resident bytes, its least explained bytes."""

    at_seconds: float
    resident_bytes: int
    explained_bytes: int

    @property
    def unexplained_bytes(self) -> int:
        """What is resident without a reason. The two minima lie at different moments, both at rest."""
        return self.resident_bytes - self.explained_bytes


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
            self._open = Floor(self._start + self.block_seconds / 2, resident_bytes, explained_bytes)
        elif resident_bytes < self._open.resident_bytes or explained_bytes < self._open.explained_bytes:
            resident_bytes = min(resident_bytes, self._open.resident_bytes)
            explained_bytes = min(explained_bytes, self._open.explained_bytes)
            self._open = Floor(self._open.at_seconds, resident_bytes, explained_bytes)
        return closed

    def clear(self) -> None:
        """Forget all floors and the open block."""
        self._floors.clear()
        self._open = None
