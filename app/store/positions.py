"""Where a reader is in what the store has accepted, and where one may begin."""

from typing import Literal, NamedTuple

Start = Literal["oldest", "now"] | int
"""Where to begin: with the oldest that is kept, with what comes, or at a moment in milliseconds."""


class Positions(NamedTuple):
    """A position in each partition."""

    born_ms: tuple[int, ...]
    """When the ledger of each partition was born."""
    ordinals: tuple[int, ...]
    before_ms: tuple[int, ...]
    """When the transaction before each was accepted; 0 where there is none, or nobody knows."""
