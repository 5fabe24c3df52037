"""A consumer as it ought to be, in plain Python: what it may be handed, and what a commit must answer."""

from dataclasses import dataclass, field
from typing import NamedTuple

from app.store.consumers import CommitResult, Leased
from app.store.read_accepted import Extract
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
    missed: int | None
    """How many had left before it; None if nobody knows."""
    finish: int
    """The end of its rest, which waits to be handed out again; `end` if it has none."""

    @property
    def has_rest(self) -> bool:
        """Whether anything waits behind it."""
        return self.end < self.finish


class Waiting(NamedTuple):
    """What may be handed out again: all of a lease that has ended, or the rest of one that has not."""

    begin: int
    lease: ModelLease
    is_rest: bool
    is_certain: bool
    """False if its lease ends between the beginning and the end of the call."""


@dataclass
class ModelPartition:
    """A consumer in one partition; ordinals stand for transactions."""

    position: int
    most_leases: int
    is_blind: bool = False
    """Whether nobody knows what left before its position, of what came after the moment it began at."""
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
        if self.must_refuse(called, added):
            return False
        return self._has_next(added) or any(waiting.is_certain for waiting in self._waiting(called))

    def must_refuse(self, called: Span, added: int) -> bool:
        """Whether there is something for certain, and only for one who commits a lease before."""
        is_full = len(self.leases) >= self.most_leases and not self._waiting(called)
        return is_full and (self._has_next(added) or any(lease.has_rest for lease in self.leases))

    def hand_out(self, leased: Leased, kept: dict[int, Kept], called: Span, lease_ms: int) -> None:
        """Check what was handed out, and note it."""
        extract = leased.extract
        assert leased.number == self.next_number
        self.next_number += 1
        self._check_content(extract, kept)
        finish = extract.end
        if leased.is_again:
            missed, finish = self._again(extract, kept, called)
        else:
            assert not any(waiting.is_certain for waiting in self._waiting(called)), "what waits comes first"
            assert extract.begin == _first_kept(kept, self.position, extract.added)
            missed = None if self.is_blind else extract.begin - self.position
            self.told.update(range(self.position, extract.end))
            self.position, self.is_blind = extract.end, False
            self.delivered += extract.end - extract.begin
            self.missed += missed or 0
        assert extract.missed == missed
        ends = Span(extract.now_ms + lease_ms, extract.now_ms + lease_ms)
        self.leases.append(ModelLease(leased.number, extract.begin, extract.end, ends, missed, finish))
        assert len(self.leases) <= self.most_leases

    def commit(self, number: int) -> CommitResult:
        """Return what a commit of the consumer as it is now must answer."""
        for lease in self.leases:
            if lease.number == number:
                self.leases.remove(lease)
                self.committed.update(range(lease.begin, lease.end))
                if lease.has_rest:
                    ended = Span(0, 0)
                    self.leases.append(ModelLease(-1, lease.end, lease.finish, ended, 0, lease.finish))
                return CommitResult.COMMITTED
        if number in self.superseded:
            return CommitResult.SUPERSEDED
        return CommitResult.REPEATED if number < self.next_number else CommitResult.UNKNOWN

    def seek(self, position: int) -> None:
        """Note that the consumer was moved."""
        self.superseded.update(lease.number for lease in self.leases)
        self.leases = []
        self.committed = {ordinal for ordinal in self.committed if ordinal < position}
        self.told.update(range(position))
        self.position, self.is_blind = position, False

    def totals(self, kept: dict[int, Kept], added: int) -> tuple[int, int, int]:
        """Return how many were handed out, handed out again, and missed, also if it was not told so yet."""
        left = 0 if self.is_blind else _first_kept(kept, self.position, added) - self.position
        return self.delivered, self.redelivered, self.missed + left

    def lag(self, added: int) -> int:
        """Return how many are not committed."""
        return added - self.position + sum(lease.finish - lease.begin for lease in self.leases)

    def _has_next(self, added: int) -> bool:
        """Tell whether a lease would have something from its position on, if only that there was a gap."""
        return self.position < added or self.is_blind

    def _check_content(self, extract: Extract, kept: dict[int, Kept]) -> None:
        handed = {
            block.ordinal + at: Kept(record.signature, block.accepted_ms)
            for block in extract.blocks
            for at, record in enumerate(block.records())
        }
        for ordinal in range(extract.begin, extract.end):
            assert handed[ordinal] == kept[ordinal]
            assert ordinal not in self.committed, "handed out after its commit was answered"

    def _waiting(self, called: Span) -> list[Waiting]:
        """List what is, or may be, to be handed out again, the first in order first."""
        found, has_room = list[Waiting](), len(self.leases) < self.most_leases
        for lease in self.leases:
            if lease.ends.first <= called.last:
                found.append(Waiting(lease.begin, lease, False, lease.ends.last <= called.first))
            if lease.ends.last > called.first and lease.has_rest and has_room:
                found.append(Waiting(lease.end, lease, True, lease.ends.first > called.last))
        return sorted(found, key=lambda waiting: waiting.begin)

    def _again(self, extract: Extract, kept: dict[int, Kept], called: Span) -> tuple[int | None, int]:
        """Find and note what was handed out again; returns how many had left, and where all of it ends."""
        for waiting in self._waiting(called):
            lease = waiting.lease
            begin = _first_kept(kept, waiting.begin, lease.finish)
            before = 0 if waiting.is_rest else lease.missed
            missed = None if before is None else begin - waiting.begin + before
            if (begin, missed) == (extract.begin, extract.missed) and extract.end <= lease.finish:
                finish = lease.finish
                if waiting.is_rest:
                    lease.finish = lease.end
                else:
                    self.leases.remove(lease)
                    self.superseded.add(lease.number)
                self.redelivered += extract.end - begin
                self.missed += begin - waiting.begin
                return missed, finish
            assert not waiting.is_certain, "one before it waited, too"
        raise AssertionError("nothing of that kind waited")


def _first_kept(kept: dict[int, Kept], begin: int, end: int) -> int:
    return next((ordinal for ordinal in kept if begin <= ordinal < end), end)
