"""What a partition has told of its acceptances, held against what it tells later: has the store gone back?"""

from typing import NamedTuple


class Fall(NamedTuple):
    """How far a partition's count of acceptances has ever fallen below what it had told."""

    peak: int = 0
    """The highest count before the latest fall."""
    entries: int = 0
    """The acceptances that were told, and that it did not know of afterwards: the sum over all falls."""


class Snapshot(NamedTuple):
    """What was known of a partition's acceptances when a call to it was sent."""

    falls: int
    added: int


class AcceptanceCount:
    """The count of acceptances of one partition, as the answers to this process's calls have it.

    The count only grows. So a call that is sent after an answer told 7,000 has to find 7,000 or more; if it
    finds 5,000, then 2,000 acceptances that had been told are gone, as when a replica that lagged was made
    the master. Answers may overtake one another: each is held against what was known when its call was sent.

        before = count.snapshot()   7,000 were told so far
        ...                         the answer: 40 accepted, 5,040 with them
        count.answer(before, 5_000, 5_040)
        count.fall                  Fall(peak=7_000, entries=2_000)
    """

    def __init__(self) -> None:
        self.fall = Fall()
        self._added = self._born_ms = self._falls = self._falls_at_reading = 0

    @property
    def end(self) -> tuple[int, int]:
        """When the ledger was begun, or 0 while no reading has told that, and its count: where it ends."""
        return self._born_ms, self._added

    def snapshot(self) -> Snapshot:
        """Return what the answer to a call that is sent now has to be held against."""
        return Snapshot(self._falls, self._added)

    def answer(self, before: Snapshot, found: int, added: int) -> None:
        """Take the answer to a call: the count that it found, and the count that it left."""
        if before.falls != self._falls:
            return  # it was sent before a fall that is known by now
        if found < before.added:
            self._falls += 1
            self.fall = Fall(before.added, self.fall.entries + before.added - found)
            self._added = added
        else:
            self._added = max(self._added, added)

    def reading(self, before: Snapshot, born_ms: int, added: int) -> None:
        """Take the answer of sizes.lua: when the ledger was begun, and its count.

        A ledger that was begun anew counts from 0, which is no fall of the count; what it had told stays as
        the peak.
        """
        if born_ms == self._born_ms:
            self.answer(before, added, added)
        else:
            if self._falls == self._falls_at_reading:
                self.fall = self.fall._replace(peak=self._added)
            self._born_ms, self._added = born_ms, added
            self._falls += 1
        self._falls_at_reading = self._falls
