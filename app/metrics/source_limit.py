"""The limit on the number of sources (TIDEGATE_MAX_SOURCES): those that come after count as `other`.

A source is a name that a client chooses, and each has series of its own in the metrics and statistics of its
own in `GET /sources`. With a limit of 3, transactions of `a`, `b`, `c`, `d`, `a` count under `a`, `b`, `c`,
`other`, `a`. The sources of one transaction are limited as well: see sightings.lua in the store.
"""

OTHER_SOURCE = "other"


class SourceLimit:
    """Lets the first `max_sources` names through for as long as the process runs."""

    def __init__(self, max_sources: int) -> None:
        self._max_sources = max_sources
        self._names: set[str] = set()

    def label(self, source: str) -> str:
        """Return the source itself while there are at most `max_sources`, `other` for those after."""
        if source not in self._names:
            if len(self._names) >= self._max_sources:
                return OTHER_SOURCE
            self._names.add(source)
        return source

    def label_of_feed(self, feed: str, *, is_proven: bool) -> str:
        """Return the label of a feed; one that was not admitted does not take the place of another."""
        return self.label(feed) if is_proven or feed in self._names else OTHER_SOURCE
