"""Gaps of unknown size: the store has lost its data, and with it what its consumers had not taken.

Where a consumer's record is left, the store counts them with its other figures. When that is lost as well,
nobody in the store knows that there was one, and under its name another begins without a gap. A gate knows
better: by its latest reading there was one, under a ledger that is another now. A consumer that was deleted
or forgotten is no such case, as the ledger is the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

WARNED_MS = 600_000
"""How long a gap is warned of; so long the alert looks back as well."""


class InStore(NamedTuple):
    """What a reading says of the consumer of a name."""

    incarnation: int
    unknown_gaps: int


@dataclass
class _Gaps:
    """What is known of the gaps of the consumers of one name."""

    incarnation: int
    in_store: int
    """How many the store counted, of the consumer of the latest reading."""
    earlier: int = 0
    """How many there were with consumers that are lost, those included with which they were."""
    changed_ms: float | None = None
    """When the latest one was noticed; None if there was none since this gate started."""
    is_lost: bool = False
    """True from a loss on until one of that name is there again."""


class UnknownGaps:
    """Counts gaps of unknown size from one reading to the next; a count only rises."""

    def __init__(self) -> None:
        self._born_ms: int | None = None
        self._gaps: dict[str, _Gaps] = {}

    def note(self, born_ms: int, found: Mapping[str, InStore], now_ms: float, kept_ms: float) -> None:
        """Compare a reading with the one before: when its ledger was born, and the consumers by name.

        One that is lost is awaited for `kept_ms`, but not beyond the next loss.
        """
        was_lost = self._born_ms not in (None, born_ms)
        self._born_ms = born_ms
        for name, gaps in list(self._gaps.items()):
            one = found.get(name)
            if gaps.is_lost:
                if one is None and (was_lost or now_ms - (gaps.changed_ms or 0) > kept_ms):
                    del self._gaps[name]
            elif one is None or one.incarnation != gaps.incarnation:
                if was_lost:
                    earlier = gaps.earlier + gaps.in_store + 1
                    self._gaps[name] = _Gaps(gaps.incarnation, 0, earlier, now_ms, is_lost=True)
                else:
                    del self._gaps[name]
        for name, one in found.items():
            gaps = self._gaps.setdefault(name, _Gaps(one.incarnation, one.unknown_gaps))
            if one.unknown_gaps > gaps.in_store:
                gaps.changed_ms = now_ms
            gaps.incarnation, gaps.in_store, gaps.is_lost = one.incarnation, one.unknown_gaps, False

    def totals(self) -> dict[str, int]:
        """Return how many each consumer has had, those included that were lost and are awaited."""
        return {name: gaps.earlier + gaps.in_store for name, gaps in self._gaps.items()}

    def recent(self, now_ms: float) -> list[str]:
        """Return the consumers that had one within the latest ten minutes."""
        return [
            name
            for name, gaps in self._gaps.items()
            if gaps.changed_ms is not None and now_ms - gaps.changed_ms < WARNED_MS
        ]
