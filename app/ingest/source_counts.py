"""What a process counts of one source, and how the counts of several processes are added up."""

from typing import NamedTuple

from app.ingest.delay_histogram import DelayHistogram


class SourceTotals(NamedTuple):
    """What a process has counted of a source, for `SourceCounts.grow` in another."""

    last_seen_ms: int
    highest_slot: int
    numbers: list[float]
    """All other figures, which add up."""


class SourceCounts:
    """What is counted of one source."""

    def __init__(self) -> None:
        self.last_seen_ms = 0
        self.highest_slot = -1
        self.accepted = 0
        self.sampled, self.late = 0.0, 0.0
        """Estimates by late_duplicates.py: how many accepted are in the sample, how many of these late."""
        self.late_found = 0
        """How many late ones were found to estimate that by."""
        self.shared, self.solo, self.missed = 0.0, 0.0, 0.0
        """Estimates by source_misses.py: what others delivered as well, nobody else, and only others."""
        self.near_window = 0
        """How many duplicates nearly came too late."""
        self.delays = DelayHistogram()
        self.late_ages = DelayHistogram()
        """How long before late duplicates had been accepted; each one found counts for all it stands for."""

    @property
    def late_share(self) -> float:
        """Return the share of late duplicates in what was accepted, an estimate."""
        return self.late / self.sampled if self.sampled else 0.0

    @property
    def firsts(self) -> float:
        """Return how many it delivered before everybody else: all accepted, except late duplicates."""
        return self.accepted * (1 - self.late_share)

    def totals(self) -> SourceTotals:
        """Return all that was counted."""
        counts = (self.accepted, self.sampled, self.late, self.late_found, self.near_window)
        delivered = (self.shared, self.solo, self.missed)
        numbers = [*counts, *delivered, *self.late_ages.numbers, *self.delays.numbers]
        return SourceTotals(self.last_seen_ms, self.highest_slot, numbers)

    def grow(self, more: SourceTotals) -> None:
        """Add what another has counted."""
        self.last_seen_ms = max(self.last_seen_ms, more.last_seen_ms)
        self.highest_slot = max(self.highest_slot, more.highest_slot)
        accepted, sampled, late, late_found, near_window, shared, solo, missed, *delays = more.numbers
        self.accepted += int(accepted)
        self.sampled, self.late = self.sampled + sampled, self.late + late
        self.late_found += int(late_found)
        self.near_window += int(near_window)
        self.shared, self.solo, self.missed = self.shared + shared, self.solo + solo, self.missed + missed
        half = len(delays) // 2
        self.late_ages.grow(delays[:half])
        self.delays.grow(delays[half:])
