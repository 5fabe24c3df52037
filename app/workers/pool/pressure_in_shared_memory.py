"""One page of memory that the control plane writes and its workers read: whether to refuse, and what fits.

A worker sees a change with its next request (`Admission.check_pressure`), without a call to the control
plane. A drill's end stands there too, so that it comes also when the control plane hangs.
"""

import mmap
import struct
import time
from typing import Self

from app.models import MemoryHeadroom

# Each is written and read as one machine word.
_FIGURE = struct.Struct("q")
_REFUSES, _ROOM, _DRILL_ENDS = 0, 8, 16
BYTES = 24
NO_LIMIT = -1


class PressurePage:
    """Maps shared memory of `BYTES` bytes: `create` is for the control plane, `follow` for workers."""

    def __init__(self, memory: mmap.mmap, shares: int = 1) -> None:
        self._memory, self._shares = memory, shares

    @classmethod
    def create(cls, memory: int) -> Self:
        """The page in the memory of this descriptor, without pressure or limit, to write."""
        page = cls(mmap.mmap(memory, BYTES))
        page.publish(MemoryHeadroom())
        return page

    @classmethod
    def follow(cls, memory: int, workers: int) -> Self:
        """The page in the memory of this descriptor, for one of so many workers to read."""
        return cls(mmap.mmap(memory, BYTES, access=mmap.ACCESS_READ), workers)

    def publish(self, headroom: MemoryHeadroom) -> None:
        """Tell all workers."""
        room = headroom.room_bytes
        _FIGURE.pack_into(self._memory, _REFUSES, headroom.refuses)
        _FIGURE.pack_into(self._memory, _ROOM, NO_LIMIT if room is None else room)

    def publish_store_drill(self, ends_seconds: float) -> None:
        """Tell all workers until when their store is to be taken for down, on the monotonic clock."""
        _FIGURE.pack_into(self._memory, _DRILL_ENDS, max(0, round(1000 * ends_seconds)))

    @property
    def is_store_drill(self) -> bool:
        """Whether the store is to be taken for down; the monotonic clock is one for all processes."""
        ends_ms: int = _FIGURE.unpack_from(self._memory, _DRILL_ENDS)[0]
        return 1000 * time.monotonic() < ends_ms

    @property
    def refuses(self) -> bool:
        """Whether ingest is refused."""
        return bool(_FIGURE.unpack_from(self._memory, _REFUSES)[0])

    @property
    def room_bytes(self) -> int | None:
        """Bytes below the memory limit that are this worker's share, None without a limit."""
        room: int = _FIGURE.unpack_from(self._memory, _ROOM)[0]
        return None if room == NO_LIMIT else room // self._shares
