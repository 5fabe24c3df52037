"""A consumer as it ought to be, in plain Python: what it may be handed, and what a commit must answer."""

from dataclasses import dataclass, field

from app.store.accepted import Extract
from app.store.consumers import CommitResult, Leased
from tests.support.kept import Kept


@dataclass
class Span:
    """Milliseconds between which a moment was: a call to the store has a beginning and an end."""

    first: int
    last: int


@dataclass
class ModelLease:
    """A lease that is neither committed nor with another."""

    number: int
    begin: int
    end: int
    ends: Span
    missed: int


@dataclass
class ModelPartition:
    """A consumer in one partition; ordinals stand for transactions."""

    position: int
    leases: list[ModelLease] = field(default_factory=list)
    next_number: int = 1
    superseded: set[int] = field(default_factory=set)
    committed: set[int] = field(default_factory=set)
    """Ordinals that a commit was answered for, and no seek went behind since."""
    told: set[int] = field(default_factory=set)
    """Ordinals that were handed out, or told to be missed."""
    delivered: int = 0
    redelivered: int = 0
    missed: int = 0
    called: Span | None = None

    def clock(self, called: Span) -> None:
        """Note a call; if the clock was set back since the one before, leases end as much sooner."""
        if self.called is not None:
            least = max(self.called.first - called.last, 0)
            most = max(self.called.last - called.first, 0)
            for lease in self.leases:
                lease.ends = Span(lease.ends.first - most, lease.ends.last - least)
        self.called = called

    def must_have(self, called: Span, added: int) -> bool:
        """Whether there is something to hand out for certain."""
        return self.position < added or any(lease.ends.last <= called.first for lease in self.leases)

    def hand_out(self, leased: Leased, kept: dict[int, Kept], called: Span, lease_ms: int) -> None:
        """Check what was handed out, and note it."""
        extract = leased.extract
        assert leased.number == self.next_number
        self.next_number += 1
        self._check_content(extract, kept)
        if leased.is_again:
            missed = self._again(leased, kept, called)
        else:
            assert not any(lease.ends.last <= called.first for lease in self.leases), "ended ones come first"
            assert extract.begin == _first_kept(kept, self.position, extract.added)
            missed = extract.begin - self.position
            self.told.update(range(self.position, extract.end))
            self.position = extract.end
            self.delivered += extract.end - extract.begin
            self.missed += missed
        assert extract.missed == missed
        ends = extract.now_ms + lease_ms
        self.leases.append(ModelLease(leased.number, extract.begin, extract.end, Span(ends, ends), missed))

    def commit(self, number: int) -> CommitResult:
        """Return what a commit of the consumer as it is now must answer."""
        for lease in self.leases:
            if lease.number == number:
                self.leases.remove(lease)
                self.committed.update(range(lease.begin, lease.end))
                return CommitResult.COMMITTED
        if number in self.superseded:
            return CommitResult.SUPERSEDED
        return CommitResult.REPEATED if number < self.next_number else CommitResult.UNKNOWN

    def seek(self, position: int) -> None:
        """Note that it was moved."""
        self.superseded.update(lease.number for lease in self.leases)
        self.leases = []
        self.committed = {ordinal for ordinal in self.committed if ordinal < position}
        self.told.update(range(position))
        self.position = position

    def lag(self, added: int) -> int:
        """Return how many are not committed."""
        return added - self.position + sum(lease.end - lease.begin for lease in self.leases)

    def _check_content(self, extract: Extract, kept: dict[int, Kept]) -> None:
        handed = {
            block.ordinal + at: Kept(record.signature, block.accepted_ms)
            for block in extract.blocks
            for at, record in enumerate(block.records())
        }
        for ordinal in range(extract.begin, extract.end):
            assert handed[ordinal] == kept[ordinal]
            assert ordinal not in self.committed, "handed out after its commit was answered"

    def _again(self, leased: Leased, kept: dict[int, Kept], called: Span) -> int:
        """Find the lease that was handed out again: the first in order of those that have ended."""
        extract = leased.extract
        for lease in sorted(self.leases, key=lambda lease: lease.begin):
            begin = _first_kept(kept, lease.begin, lease.end)
            if lease.ends.first <= called.last and (begin, lease.end) >= (extract.begin, extract.end):
                return self._take_over(lease, begin, extract)
            assert lease.ends.last > called.first, "one before it had ended, too"
        raise AssertionError("none of its leases had ended")

    def _take_over(self, lease: ModelLease, begin: int, extract: Extract) -> int:
        """Note that a lease was handed out again, from `begin` on; returns how many had left before that."""
        assert begin == extract.begin
        self.leases.remove(lease)
        self.superseded.add(lease.number)
        if extract.end < lease.end:
            rest = ModelLease(-1, extract.end, lease.end, Span(0, 0), 0)
            self.leases.append(rest)
        self.redelivered += extract.end - extract.begin
        self.missed += begin - lease.begin
        return lease.missed + begin - lease.begin


def _first_kept(kept: dict[int, Kept], begin: int, end: int) -> int:
    return next((ordinal for ordinal in kept if begin <= ordinal < end), end)
