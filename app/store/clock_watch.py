"""Finds out that a store's clock was set, and how many entries left by that before their time.

Windows and retentions are counted by the server's clock. Set back beyond a window, it drops what was accepted
after the new time (clock.lua). Set ahead, it drops all that is due by the new time. A failover to a server
whose clock differs does the same. All of it leaves as `expired`, so that only the clock gives it away: from
one reading to the next it moves by what has passed for the gate.

For example, an hour's correction, in seconds of the server and of the gate:

    reading   server   gate   expired   of these due
    1         7,200    100          0              0
    2         3,601    101        800              0   the clock went back; 800 left that were not due
    3         3,602    102        992              0   a call drops four buckets at most
    4         3,603    103        992              0   that was all: 992 are told
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.models import MapName, MapSizes, Reason
from app.store.data_loss import Setback, SetbackKind
from app.store.partition_sizes import PartitionSizes

MOST_READINGS = 20  # in which a partition's buckets, 64 of a map and some, leave by four
SLACK_MS, SLACK_PART = 1_000, 0.001  # for clocks that do not run alike
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def seconds_since_boot() -> float:
    """Return the seconds that have passed, those too in which the machine slept, where the system tells."""
    return time.clock_gettime(_CLOCK)


@dataclass
class _Set:
    """A clock that was set: by how much, and how many entries of each map have left since by that."""

    moved_ms: int
    lost: Mapping[MapName, int]
    readings: int = 0


class ClockWatch:
    """Compares each reading with the one before, and tells of a clock that was set once all has left."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[PartitionSizes, float]] = {}  # and the seconds when it was asked for
        self._set: dict[str, _Set] = {}

    def follow(self, parts: Sequence[PartitionSizes], asked_at: float, answered_at: float) -> list[Setback]:
        """Take a reading of all partitions, with the seconds since boot before and after it.

        A partition that did not answer comes with its reading of before, as the same object: nothing is known
        of it since then.
        """
        found: list[Setback] = []
        for part in parts:
            before, since = self._before.get(part.prefix, (None, 0.0))
            if before is part:
                continue
            if before is not None and before.born_ms == part.born_ms:
                told = self._follow(before, part, most_passed_ms=(answered_at - since) * 1000)
                found += [told] if told is not None else []
            self._before[part.prefix] = part, asked_at
        return found

    def _follow(self, before: PartitionSizes, now: PartitionSizes, most_passed_ms: float) -> Setback | None:
        moved_ms = _moved_ms(before, now, most_passed_ms)
        if moved_ms:
            known = self._set.get(now.prefix, _Set(0, dict.fromkeys(MapName, 0)))
            self._set[now.prefix] = _Set(known.moved_ms + moved_ms, known.lost, known.readings)
        current = self._set.get(now.prefix)
        if current is None:
            return None
        is_back = current.moved_ms < 0
        counts_all = moved_ms > 0 and not is_back
        left = {
            name: _left_early(before.maps[name], now.maps[name], is_back=is_back, counts_all=counts_all)
            for name in MapName
        }
        current.lost = {name: count + left[name] for name, count in current.lost.items()}
        current.readings += 1
        if (moved_ms or any(left.values())) and current.readings < MOST_READINGS:
            return None
        del self._set[now.prefix]
        if not any(current.lost.values()):
            return None
        kind = SetbackKind.CLOCK_BACK if is_back else SetbackKind.CLOCK_AHEAD
        return Setback(kind, now.prefix, current.lost, current.moved_ms)


def _moved_ms(before: PartitionSizes, now: PartitionSizes, most_passed_ms: float) -> int:
    """Return by how much the clock was set, at least; 0 if it moved as time does, below 0 if back."""
    moved_ms = now.now_ms - before.now_ms
    if moved_ms < 0:
        return moved_ms
    ahead_ms = moved_ms - most_passed_ms
    return round(ahead_ms) if ahead_ms > SLACK_MS + SLACK_PART * most_passed_ms else 0


def _left_early(before: MapSizes, now: MapSizes, *, is_back: bool, counts_all: bool) -> int:
    """Return how many entries of a map left before their time.

    These are those that were not due by a clock that was set back. In the reading in which it was set ahead,
    they are all that left, although some of one bucket or two were due anyway; after that, those that left
    too late, as which those count that are due by the new time and have not left yet.
    """
    expired = now.removed[Reason.EXPIRED] - before.removed[Reason.EXPIRED]
    if counts_all:
        return max(0, expired)
    in_time = now.due - before.due if is_back else now.on_time - before.on_time
    return max(0, expired - in_time)
