"""What any worker of a service had lately, in memory that all of them share: half of each hash.

Feeds that deliver the same come to different workers, of which each alone would take most of it for new. It
only guides a guess: a slot that another signature took, or two workers write at once, costs a call at most.
"""

import mmap
import struct
from collections.abc import Sequence
from typing import Self

SLOTS = 1 << 16
SLOT_BYTES = 8
BYTES = SLOTS * SLOT_BYTES


class Fingerprints:
    """A table in memory of a power of two slots; at the start it is all 0."""

    def __init__(self, memory: mmap.mmap | bytearray) -> None:
        self._slots = memoryview(memory).cast("Q")

    @classmethod
    def follow(cls, memory: int) -> Self:
        """The table in the shared memory of this descriptor, of `BYTES` bytes."""
        return cls(mmap.mmap(memory, BYTES))

    def note(self, hashes: Sequence[bytes]) -> bytes:
        """One byte for each hash: 1 if a worker had it. From now on all of them are had."""
        slots, last = self._slots, len(self._slots) - 1
        halves = struct.unpack(f"={2 * len(hashes)}Q", b"".join(hashes))[::2]
        known = bytes([slots[half & last] == half for half in halves])
        for half in halves:
            slots[half & last] = half
        return known
