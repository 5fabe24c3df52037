"""Finds out from one reading of the ledgers to the next that the store has lost what was acknowledged.

A store loses it in a failover to a replica that lagged, when it is emptied or restarts without what it had,
and when keys are evicted. The ledger of a partition shows all of these: it counts what was ever added, it
notes when it was begun, and it lists the keys that have to be there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from app.models import MapName, MapSizes, Reason
from app.store.acceptance_count import Fall
from app.store.partition_sizes import PartitionSizes

# Processes of one gate notice the same setback within seconds of one another.
SAME_SETBACK_MS = 10_000

Falls = Mapping[str, Mapping[str, Fall]]
"""What each worker process was told, by its name and by the prefix of the partition."""


class SetbackKind(StrEnum):
    """Ways in which a store loses what was acknowledged.

    EMPTIED: the bookkeeping was begun anew, and nothing is known of what there was: a FLUSHALL, a restart
    without persistence, a ledger that was evicted. SET_BACK: the store is in an earlier state, as a replica
    that lagged, or a restored snapshot, is. KEYS_GONE: keys with entries were evicted or deleted.
    CLOCK_BACK, CLOCK_AHEAD: the server's clock was set, so that entries left early (clock_watch.py).
    """

    EMPTIED = "emptied"
    SET_BACK = "set_back"
    KEYS_GONE = "keys_gone"
    CLOCK_BACK = "clock_back"
    CLOCK_AHEAD = "clock_ahead"


@dataclass(frozen=True)
class Setback:
    """One partition has lost entries; `lost` says how many of each map, as far as is known."""

    kind: SetbackKind
    partition: str
    lost: Mapping[MapName, int]
    clock_moved_ms: int = 0
    """The milliseconds by which the clock was set, below 0 if back; 0 where it was not."""


class MapTotals(NamedTuple):
    """What was added to a map, and removed from it by reason, while somebody looked."""

    added: int
    removed: Mapping[Reason, int]


NO_TOTALS = MapTotals(0, dict.fromkeys(Reason, 0))


class LedgerWatch:
    """Compares each reading with the one before; the first has nothing to be compared with.

    Its totals count what happened since that first one. They never fall, which counts of the ledger do: 7,000
    may become 5,000 with a failover, which a `rate()` would take for 5,000 that were added in a moment.
    """

    def __init__(self) -> None:
        self.totals: dict[MapName, MapTotals] = dict.fromkeys(MapName, NO_TOTALS)
        self._before: dict[str, PartitionSizes] = {}
        self._falls: dict[tuple[str, str], int] = {}
        self._gone: dict[tuple[str, MapName, int], int] = {}
        self._noticed_ms: dict[str, int] = {}

    def follow(self, parts: Sequence[PartitionSizes], falls: Falls) -> list[Setback]:
        """Take a reading of all partitions, and what workers were told before it; return what was lost."""
        found: list[Setback] = []
        grown = self._grown_falls(parts, falls)
        for part in parts:
            if (before := self._before.get(part.prefix)) is not None:
                found += self._setbacks(before, part, grown[part.prefix])
                self._add(before, part)
        self._remember_gone(parts)
        self._before = {part.prefix: part for part in parts}
        return found

    def _setbacks(self, before: PartitionSizes, now: PartitionSizes, fall: Fall) -> Iterator[Setback]:
        is_same, is_later = now.born_ms == before.born_ms, now.born_ms > before.born_ms
        fallen = {name: before.maps[name].added - sizes.added for name, sizes in now.maps.items()}
        last_ms = self._noticed_ms.get(now.prefix)
        is_known = last_ms is not None and abs(now.now_ms - last_ms) < SAME_SETBACK_MS
        if is_same and not (max(fallen.values()) > 0 or (fall.entries and not is_known)):
            yield from self._keys_gone(now)
            return
        # Each acceptance since the reading before has added one entry to each map, or more.
        peak = fall.peak if is_same else max(fall.peak, now.fall.peak)
        since = max(0, peak - before.maps[MapName.SIGNATURES].added)
        kept = {name: sizes.entries + since for name, sizes in before.maps.items()}
        lost = {name: min(kept[name], max(fall.entries, fallen[name])) for name in kept} if is_same else kept
        if any(lost.values()):
            self._noticed_ms[now.prefix] = now.now_ms
            yield Setback(SetbackKind.EMPTIED if is_later else SetbackKind.SET_BACK, now.prefix, lost)

    def _keys_gone(self, now: PartitionSizes) -> Iterator[Setback]:
        """Yield what is newly gone; nothing in a full store, where a claim drops for room and then fails."""
        lost = dict.fromkeys(MapName, 0)
        for (name, bucket), count in now.gone.items():
            lost[name] += max(0, count - self._gone.get((now.prefix, name, bucket), 0))
        if any(lost.values()) and not now.is_full:
            yield Setback(SetbackKind.KEYS_GONE, now.prefix, lost)

    def _remember_gone(self, parts: Sequence[PartitionSizes]) -> None:
        """Keep what is gone of each bucket until the bucket itself has left."""
        for part in parts:
            for (name, bucket), count in part.gone.items():
                key = (part.prefix, name, bucket)
                self._gone[key] = max(count, self._gone.get(key, 0))
        oldest = {(part.prefix, name): bucket for part in parts for name, bucket in part.oldest.items()}
        self._gone = {
            (prefix, name, bucket): count
            for (prefix, name, bucket), count in self._gone.items()
            if 0 < oldest.get((prefix, name), 0) <= bucket
        }

    def _grown_falls(self, parts: Sequence[PartitionSizes], falls: Falls) -> dict[str, Fall]:
        """Return the deepest fall of each partition that any process was told since the last time."""
        told = {"": {part.prefix: part.fall for part in parts}, **falls}
        now = {(process, at): fall for process, by_prefix in told.items() for at, fall in by_prefix.items()}
        grown = {part.prefix: Fall() for part in parts}
        for (process, prefix), fall in now.items():
            entries = fall.entries - self._falls.get((process, prefix), 0)
            # A worker that was started again under the same name begins at 0.
            entries = entries if entries >= 0 else fall.entries
            if prefix in grown and entries > grown[prefix].entries:
                grown[prefix] = Fall(fall.peak, entries)
        self._falls = {key: fall.entries for key, fall in now.items()}
        return grown

    def _add(self, before: PartitionSizes, now: PartitionSizes) -> None:
        """Count what the partition's maps have grown by; from 0 in a ledger that was begun since."""
        if now.born_ms < before.born_ms:
            return
        for name, sizes in now.maps.items():
            then = before.maps[name] if now.born_ms == before.born_ms else None
            added, removed = self.totals[name]
            self.totals[name] = MapTotals(
                added + _growth(then.added if then else 0, sizes.added),
                {
                    reason: removed[reason] + _growth(then.removed[reason] if then else 0, count)
                    for reason, count in sizes.removed.items()
                },
            )


def imbalance(sizes: MapSizes) -> int:
    """Return added minus removed minus held, by the ledger's own counts: 0, or the ledger is wrong."""
    return sizes.added - sum(sizes.removed.values()) - sizes.entries


def _growth(before: int, now: int) -> int:
    return max(0, now - before)
