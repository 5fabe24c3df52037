"""Feeds in force, each with its share of the rate: read at the start, and again when their file changes."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import structlog

from app.errors import FeedsUnknown
from app.feeds.feed import Feed
from app.feeds.feeds_file import Feeds, FeedsFileError, Problem, load_feeds
from app.feeds.rate_limit import RateShare

log = structlog.get_logger()
_EMPTIED = "it declares no feed any more; restart the gate if that is meant"


class FeedsInForce:
    """Knows each feed by its name; without a file all feeds have the defaults.

    With several workers each has its own. The kernel gives a connection to whichever worker takes it
    first, so each of two or more lets a feed send twice an even share: with four workers and 5,000
    transactions a second it is 2,500, all of which a feed with one connection may use.
    """

    def __init__(self, file: Path | None, workers: int = 1, *, has_to_start: bool = False) -> None:
        """Read the file; one that `has_to_start` refuses all feeds until the file can be used.

        A worker has to, which takes the place of one that has died while the file is broken: it cannot know
        which feeds have to sign.

        Raises:
            FeedsFileError: it cannot be used.
        """
        self._file, self._workers = file, workers
        self._feeds = Feeds()
        self._shares: dict[str, RateShare] = {}
        self.warning: str | None = None
        """Why the file is not in force as it stands now; what was read before is."""
        self._is_known = True
        if file is not None:
            try:
                found = load_feeds(file, again=workers > 1)
            except FeedsFileError as error:
                if not has_to_start:
                    raise
                self._is_known = False
                self._settle(error)
            else:
                self._put_in_force(found)
                log.info("feeds read", feeds=len(found.declared))

    @property
    def declared(self) -> Iterable[str]:
        """The names of the feeds that the file declares."""
        return self._feeds.declared

    def warning_if_open(self) -> str | None:
        """Return what to warn of where no ingest token is set, None when no feed is signed."""
        return self._feeds.warning_if_open()

    def get(self, name: str) -> Feed:
        """Return a feed, declared or not.

        Raises:
            FeedsUnknown: the file could not be used yet.
        """
        if not self._is_known:
            raise FeedsUnknown(
                "the file of TIDEGATE_FEEDS_FILE cannot be used (see the log); send this again"
            )
        return self._feeds.get(name)

    def take(self, name: str, count: int, now: float) -> None:
        """Take so many transactions from a feed's share of the rate, all or none; `now` is monotonic seconds.

        Raises:
            RateLimited: the feed has used up its share.
        """
        share = self._shares.get(name)
        if share is not None:
            share.take(count, now)

    async def reload(self) -> None:
        """Read the file again in a thread if it, or a file of secrets, has changed.

        A broken one changes nothing but the warning.
        """
        found = await asyncio.to_thread(self._read_again)
        self._settle(found)

    def _read_again(self) -> Feeds | FeedsFileError | None:
        """Return the feeds of a file that has changed or was broken, or what is wrong with it."""
        if self._file is None or (self.warning is None and self._feeds.is_current()):
            return None
        try:
            found = load_feeds(self._file, again=True)
        except FeedsFileError as error:
            return error
        if self._feeds.declared and not found.declared:
            # So looks a file that is about to be written; with it in force, nobody would have to sign.
            return FeedsFileError(self._file, [Problem(0, _EMPTIED)])
        return found

    def _settle(self, found: Feeds | FeedsFileError | None) -> None:
        if isinstance(found, Feeds):
            self._put_in_force(found)
            self.warning = None
            log.info("feeds read again", feeds=len(found.declared))
        elif found is not None:
            warning = f"the feeds are as they were, since the file cannot be used: {found}"
            if warning != self.warning:
                log.warning("feeds not read again", error=str(found))
            self.warning = warning

    def _put_in_force(self, feeds: Feeds) -> None:
        """Use these feeds; a share that is as it was stays as full as it is."""
        shares: dict[str, RateShare] = {}
        for name, feed in feeds.declared.items():
            if feed.transactions_per_second is not None:
                per_second = feed.transactions_per_second * min(1.0, 2 / self._workers)
                before = self._shares.get(name)
                is_same = before is not None and before.per_second == per_second
                shares[name] = before if before and is_same else RateShare(per_second)
        self._feeds, self._shares = feeds, shares
        self._is_known = True
