"""The maps over a period: they and their ledger are the store's, and every gate of it reports them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.models import MapName
from app.reports.period import Period
from app.reports.samples import REASONS, MapSample

# A ledger that holds less than half of what it held is a new one: gates that read it at the same moment
# may differ by a little.
NEW_LEDGER_SHARE = 0.5


@dataclass
class Block:
    """One map in one block of time: fewest and most entries, most bytes."""

    least_entries: int
    most_entries: int
    most_bytes: int


@dataclass
class MapFold:
    """One map in the period; `most_share` is the largest share of its warning size it reached."""

    last: MapSample | None = None
    last_ms: int = 0
    blocks: dict[int, Block] = field(default_factory=dict)
    added: int = 0
    removed: list[int] = field(default_factory=lambda: [0] * len(REASONS))
    due: int = 0
    on_time: int = 0
    most_share: float = 0.0
    most_entries: int = 0
    warn_entries: int = 0

    def take(self, at_ms: int, block: int, sample: MapSample) -> None:
        """Take a reading within the period."""
        held = self.blocks.setdefault(block, Block(sample.entries, sample.peak_entries, sample.bytes))
        held.least_entries = min(held.least_entries, sample.entries)
        held.most_entries = max(held.most_entries, sample.entries, sample.peak_entries)
        held.most_bytes = max(held.most_bytes, sample.bytes)
        entries = max(sample.entries, sample.peak_entries)
        share = entries / max(1, sample.warn_entries)
        if share >= self.most_share:
            self.most_share, self.most_entries, self.warn_entries = share, entries, sample.warn_entries
        if at_ms >= self.last_ms:
            self.last, self.last_ms = sample, at_ms

    def count(self, before: MapSample | None, now: MapSample) -> None:
        """Add what came and went between two readings; with none before, since the ledger began."""
        self.added += max(0, now.added - (before.added if before else 0))
        for at, total in enumerate(now.removed):
            self.removed[at] += max(0, total - (before.removed[at] if before else 0))
        due = max(0, now.due - (before.due if before else 0))
        self.due += due
        self.on_time += min(due, max(0, now.on_time - (before.on_time if before else 0)))


class MapsFold:
    """The three maps, by each gate's readings in the ledger's order; what two gates saw counts once."""

    def __init__(self, period: Period) -> None:
        self._period = period
        self.maps = {name: MapFold() for name in MapName}
        self.resets_ms: set[int] = set()
        self._before: Mapping[MapName, MapSample] | None = None
        self._before_ms = 0
        self._span: tuple[int, int] | None = None
        self._covered: list[tuple[int, int]] = []

    def begin_gate(self) -> None:
        """Begin with the readings of another gate."""
        self._before = self._span = None

    def end_gate(self) -> None:
        """Note what this gate has seen, which is not counted again."""
        if self._span is not None:
            self._covered.append(self._span)

    def add(self, at_ms: int, now: Mapping[MapName, MapSample]) -> None:
        """Take the readings of one sample."""
        before, before_ms = self._before, self._before_ms
        self._before, self._before_ms = now, at_ms
        is_new = before is not None and _is_new_ledger(before, now)
        if not self._period.has(at_ms):
            return
        if is_new:
            self.resets_ms.add(at_ms)
        block = self._period.block_of(at_ms)
        for name, sample in now.items():
            self.maps[name].take(at_ms, block, sample)
        if before is not None and not self._is_covered((before_ms + at_ms) / 2):
            for name, sample in now.items():
                self.maps[name].count(None if is_new else before[name], sample)
        first, last = self._span or (at_ms, at_ms)
        self._span = (min(first, at_ms), max(last, at_ms))

    def _is_covered(self, at_ms: float) -> bool:
        return any(from_ms <= at_ms <= to_ms for from_ms, to_ms in self._covered)


def _is_new_ledger(before: Mapping[MapName, MapSample], now: Mapping[MapName, MapSample]) -> bool:
    return any(now[name].added < NEW_LEDGER_SHARE * before[name].added for name in now)
