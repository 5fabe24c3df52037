"""Frees memory that this process no longer uses but still holds, soon after a burst has ended.

Every process of the service, gate and worker, does this for itself, with or without a limit on its memory.
CPython collects cycles only while it allocates, and glibc keeps free pages that lie between pages in use. A
process that held 300 MiB during a burst and is idle afterwards would therefore go on holding most of it.
Nothing that is in use is touched: what `process_relief` does under pressure goes further.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.process.heap import trim_heap
from app.process.resident_memory import own_resident_bytes

LOOK_SECONDS = 0.5
# Below this it is not worth the page faults of those who need the pages again.
LEAST_EXCESS_BYTES = 6 * 1024 * 1024
# A process that uses more of a processor than this has work, which is about to use its free memory again.
BUSY_SHARE = 0.5
LONGEST_BUSY_SECONDS = 10.0
# A round that gave little back is repeated after a pause that doubles up to this: memory may be freed at any
# time without a change of what is resident, as when clients close connections that were open for an hour.
LONGEST_PAUSE_SECONDS = 10.0
LITTLE_BYTES = 1024 * 1024
# A round that took 5 ms of the processor is followed by a pause of 7.5 s. With a thousand streams,
# whose objects are looked through, one takes 40 ms: every half minute, it delays a post in a thousand.
PAUSE_PER_SECOND_TAKEN = 1500
# The more there may be to free, the shorter that pause is: with 240 MiB above the least it is a fifth.
MUCH_EXCESS_BYTES = 48 * 1024 * 1024
# It is no longer than this: a round in the middle of a storm takes long and frees little, and what the storm
# leaves has to be back within a minute of its end.
LONGEST_REST_SECONDS = 30.0


@dataclass(frozen=True)
class Means:
    """The functions by which a reclaimer reads and frees memory, so that a test feeds numbers."""

    resident_bytes: Callable[[], int] = own_resident_bytes
    collect: Callable[[], object] = gc.collect
    trim: Callable[[], object] = trim_heap
    monotonic: Callable[[], float] = time.monotonic
    cpu_seconds: Callable[[], float] = time.thread_time


class Reclaimer:
    """Collects garbage and trims the heap while resident memory is well above the least that was seen.

    Its process calls `tick` from the event loop every half second. A round is one collection and one trim; it
    waits for up to ten seconds while the process is busy. For example, with 70 MiB as the least ever seen: at
    76 MiB a round is due; should it leave 75.5 MiB, which is little less, the next is due after 0.5 s, then
    1, 2, 4, 8 and 10 s, or at once when resident memory has changed by 6 MiB.
    """

    def __init__(self, means: Means | None = None) -> None:
        self._means = means or Means()
        self._least: int | None = None
        self._left = 0
        self._pause = 0.0
        self._rested_at = self._again_at = float("-inf")
        self._looked_at, self._cpu_at_look = self._means.monotonic(), self._means.cpu_seconds()
        self._calm_at = self._looked_at

    async def tick(self) -> None:
        """Read resident memory, and run a round if one is due."""
        now, resident = self._means.monotonic(), self._means.resident_bytes()
        if self._least is None:
            self._left = resident
        self._least = min(resident, self._least or resident)
        has_time = self._has_time(now)
        if resident - self._least >= LEAST_EXCESS_BYTES and self._is_due(now, resident) and has_time:
            self._run(resident)

    def _is_due(self, now: float, resident: int) -> bool:
        """Whether the pause is over, or memory has changed so much that the last round says nothing of it."""
        has_changed = abs(resident - self._left) >= LEAST_EXCESS_BYTES
        return now >= self._rested_at and (has_changed or now >= self._again_at)

    def _run(self, before: int) -> None:
        began = self._means.cpu_seconds()
        self._means.collect()
        self._means.trim()
        taken = self._means.cpu_seconds() - began
        ended = self._calm_at = self._means.monotonic()
        self._left = self._means.resident_bytes()
        is_little = before - self._left < LITTLE_BYTES
        self._pause = min(LONGEST_PAUSE_SECONDS, max(LOOK_SECONDS, 2 * self._pause)) if is_little else 0.0
        self._again_at = ended + self._pause
        excess = self._left - (self._least or 0)
        share = MUCH_EXCESS_BYTES / max(MUCH_EXCESS_BYTES, excess)
        self._rested_at = ended + min(LONGEST_REST_SECONDS, PAUSE_PER_SECOND_TAKEN * taken * share)

    def _has_time(self, now: float) -> bool:
        """Whether the event loop's thread was idle half of the time lately, or has not been for too long."""
        cpu, elapsed = self._means.cpu_seconds(), now - self._looked_at
        if cpu - self._cpu_at_look <= BUSY_SHARE * elapsed:
            self._calm_at = now
        self._looked_at, self._cpu_at_look = now, cpu
        return self._calm_at == now or now - self._calm_at >= LONGEST_BUSY_SECONDS
