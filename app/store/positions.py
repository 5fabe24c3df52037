"""Where a reader is in what the store has accepted, and where one may begin."""

from collections.abc import Iterable
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
    has_left: bool = False
    """Whether some before it that were wanted have left, nobody knows how many; who reads on is not told."""

    @staticmethod
    def of(places: Iterable[tuple[int, int, int]], *, has_left: bool = False) -> "Positions":
        """Put together what each partition says of itself: `born_ms`, ordinal, `before_ms`."""
        born_ms, ordinals, before_ms = zip(*places, strict=True)
        return Positions(born_ms, ordinals, before_ms, has_left)

    @property
    def places(self) -> list[tuple[int, int, int]]:
        """Each partition's `born_ms`, ordinal and `before_ms`."""
        return list(zip(self.born_ms, self.ordinals, self.before_ms, strict=True))
