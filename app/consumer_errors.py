"""The errors of streams and consumers, and what they mean over HTTP; all others are in errors.py.

ReaderError
├── UnknownConsumer         404  never leased, or forgotten
├── UnknownLease            404  never given, or forgotten
├── LeaseOfAnother          409  the lease is another consumer's
├── LeaseLost               409  it ran out, and went to another caller
├── TooManyConsumers        409  one more than are remembered
├── TooManyLeases           409  more of one consumer are outstanding than are kept
└── UnknownCursor           410  a position that the store does not have
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from app.errors import ClientError


class ReaderError(ClientError):
    """What a reader asks for cannot be had; `members` are further ones of the problem document."""

    members: Mapping[str, object] = MappingProxyType({})


class UnknownConsumer(ReaderError):
    """There is no consumer of that name: it never asked for a lease, or was forgotten."""

    status, slug, title = 404, "unknown-consumer", "There is no such consumer"


class UnknownLease(ReaderError):
    """No such lease is known of the consumer: it was never given, or is forgotten."""

    status, slug, title = 404, "unknown-lease", "There is no such lease"


class LeaseOfAnother(ReaderError):
    """The lease belongs to another consumer than the one in the address."""

    status, slug, title = 409, "lease-of-another", "The lease is another consumer's"


class LeaseLost(ReaderError):
    """The lease ran out, or the consumer was moved, and its transactions go to another caller.

    On a Cluster that may be so in some partitions only; what the others gave is committed.
    """

    status, slug, title = 409, "lease-lost", "The lease went to another caller"

    def __init__(self, detail: str, committed: int, lost: int) -> None:
        super().__init__(detail)
        self.members = {"partitions": {"committed": committed, "lost": lost}}


class TooManyConsumers(ReaderError):
    """There are as many consumers as there may be; `idle` names those that have been idle longest."""

    status, slug, title = 409, "too-many-consumers", "There are as many consumers as there may be"

    def __init__(self, detail: str, idle: Sequence[str]) -> None:
        super().__init__(detail)
        self.idle = idle


class TooManyLeases(ReaderError):
    """A consumer has as many leases that are neither committed nor run out as it may have."""

    status, slug, title = 409, "too-many-leases", "The consumer has as many leases as it may have"


class UnknownCursor(ReaderError):
    """The cursor is of another store, or of acceptances that this one never had."""

    status, slug, title = 410, "unknown-cursor", "The store does not have this position"
