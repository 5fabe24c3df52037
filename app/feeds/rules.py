"""What a feed declares about the bodies it is sent: where transactions are in them, and which are skipped."""

from typing import Final, NamedTuple

VOTES, FAILED = "votes", "failed"
SKIPPABLE: Final = (VOTES, FAILED)


class MappedShape(NamedTuple):
    """Where transactions are in JSON of a shape that is not known by itself, as JSON Pointers (RFC 6901)."""

    items: str | None
    """Where the array of transactions is in a document; None: the document is the array or a transaction."""
    signature: str
    slot: str | None


class FeedRules(NamedTuple):
    """How the bodies of one feed are read."""

    mapped: MappedShape | None = None
    skip: frozenset[str] = frozenset()
    """What is counted and not stored, of `SKIPPABLE`."""
