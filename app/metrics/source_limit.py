"""The limit on the number of sources (TIDEGATE_MAX_SOURCES): those that come after count as `other`.

A source is a name that a client chooses, and each has series of its own in the metrics and statistics of its
own in `GET /sources`. With a limit of 3, transactions of `a`, `b`, `c`, `d`, `a` count under `a`, `b`, `c`,
`other`, `a`. The sources of one transaction are limited as well: see observations.lua in the store.
"""

from collections.abc import Callable

OTHER_SOURCE = "other"


class _Labels(dict[str, str]):
    """The label of each name that was let through; a name that is looked up for the first time may be one."""

    def __init__(self, max_sources: int) -> None:
        super().__init__()
        self._max_sources = max_sources

    def __missing__(self, source: str) -> str:
        if len(self) >= self._max_sources:
            return OTHER_SOURCE
        self[source] = source
        return source


class SourceLimit:
    """Lets the first `max_sources` names through for as long as the process runs."""

    def __init__(self, max_sources: int) -> None:
        self._labels = _Labels(max_sources)
        self.label: Callable[[str], str] = self._labels.__getitem__
        """Returns the source itself while there are at most `max_sources`, `other` for those after."""

    def label_of_feed(self, feed: str, *, is_proven: bool) -> str:
        """Return the label of a feed; one that was not admitted does not take the place of another."""
        return self.label(feed) if is_proven or feed in self._labels else OTHER_SOURCE
