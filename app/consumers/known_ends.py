"""Where each partition ends, by the latest that one reader knows: up to there it takes lines, and no further.

One reading of all partitions tells their ends as of one moment, but for the time that it takes. What comes
behind the ends was accepted later, in whichever partition, so all that lies before them can be merged. Of one
partition the cache may have more, which another reader brought. That has to wait until the ends of all are
known anew, since others may have something older:

    ends (46, 10), place (46, 10)    the cache has 46 … 48 of the first, accepted at 09:00:03; of the other
                                     nobody has read 10 yet, accepted at 09:00:00
"""

from collections.abc import Iterator, Sequence

from app.consumers.tail import Tail
from app.store.read_accepted import Extract


class KnownEnds:
    """The ends of all partitions."""

    def __init__(self, added: Sequence[int], news: int) -> None:
        """Begin with the ordinal of the next acceptance in each partition, and the tail's latest news."""
        self._added, self._news = list(added), news
        self.down: frozenset[int] = frozenset()
        """The partitions that could not be read last: others are not held up for what is missing of them."""

    def note_read(self, extracts: Sequence[Extract], news: int) -> None:
        """Take what was read of each partition, as late as the tail's latest news."""
        self._news = news
        self.down = frozenset(at for at, extract in enumerate(extracts) if extract.is_down)
        self._added = [
            added if extract.is_down else extract.added
            for added, extract in zip(self._added, extracts, strict=True)
        ]

    def note_tail(self, tail: Tail, born_ms: tuple[int, ...]) -> None:
        """Take what the tail knows, if it reads ledgers that were begun at these moments.

        A partition that it could read since is not down any more.
        """
        if tail.place is None or tail.place.born_ms != born_ms:
            return
        self._added = list(map(max, self._added, tail.added))
        if tail.news != self._news:
            self.down &= tail.down

    def down_beside(self, tail: Tail) -> frozenset[int]:
        """Return the partitions of which the tail will have news: not those that it could read before."""
        return self.down if tail.place is None else self.down & tail.down

    def unread(self, ordinals: Sequence[int]) -> Iterator[int]:
        """Return the partitions that have more behind these places."""
        return (at for at, ordinal in enumerate(ordinals) if ordinal < self._added[at])
