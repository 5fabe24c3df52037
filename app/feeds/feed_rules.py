"""What an operator says of one feed's bodies: where a mapped shape has its fields, and what is not stored."""

from typing import NamedTuple

VOTES, FAILED = "votes", "failed"
SKIPPABLE = (VOTES, FAILED)
"""What a feed may leave out: votes of validators, and transactions that failed on their chain."""


class MappedShape(NamedTuple):
    """JSON Pointers (RFC 6901) into the bodies of a feed whose shape is none of the known ones.

    `items` leads from the document to the array of its items; without it the document is the item, or each
    element of an array. The other two lead from an item to its fields.
    """

    items: str | None
    signature: str
    slot: str | None


class FeedRules(NamedTuple):
    """The rules of one feed. One with a mapped shape has no other."""

    mapped: MappedShape | None = None
    skip: frozenset[str] = frozenset()


NO_RULES = FeedRules()
