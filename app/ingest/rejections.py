"""Says loudly that a feed sends what is not taken: on metrics, in the log, and as warnings of `/stats`.

A provider's form shows "delivered" or nothing, and whoever set it up watches the log. So the first body that
is not taken makes a line there, with the reason and the begin of the body, and the next one of the same feed
and reason in a later minute, which says how many came since. Senders who are not verified have lines of their
own.

Feeds are counted apart up to TIDEGATE_MAX_SOURCES, and reasons are a closed set, so that nobody can fill
memory or the log. Feeds that were never let in, such as `quicknode-b` with a wrong token, are counted as
`other` together: they share the lines of one feed, each of which names the feed that sent the body it shows.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import structlog

from app.decode.error_messages import printable
from app.errors import (
    BodyTooLarge,
    InvalidRequest,
    MalformedBody,
    RateLimited,
    Unauthorized,
    UnsupportedMedia,
)
from app.ingest.redaction import without_secrets
from app.metrics.catalogue import Metrics
from app.models import WarningKey, WarningName

log = structlog.get_logger()

UNKNOWN_SHAPE: Final = "unknown-shape"
"""A document that looks like nothing the gate knows; others of its body may."""
INVALID_TRANSACTION: Final = "invalid-transaction"
"""A transaction of a body whose others may be valid."""
REASONS: Final = (
    UNKNOWN_SHAPE,
    INVALID_TRANSACTION,
    *(
        error.slug
        for error in (
            InvalidRequest,
            MalformedBody,
            BodyTooLarge,
            UnsupportedMedia,
            Unauthorized,
            RateLimited,
        )
    ),
)
SHOWN_CHARACTERS: Final = 200
# What is looked at of a text: what is hidden and what is shown of it.
SHOWN_BYTES: Final = 2 * SHOWN_CHARACTERS
WARNED_SECONDS: Final = 600
"""So long after the last rejection `/stats` names the feed."""
WARNED_WHILE_TAKEN_SECONDS: Final = 120
"""So long it does if what the feed sends has been taken since."""
_MINUTE_SECONDS: Final = 60


class Rejection(NamedTuple):
    """What a feed sent last that was not taken, or a sender who was not verified under its name."""

    when_ms: int
    """Milliseconds since the epoch."""
    reason: str
    detail: str
    feed: str
    """The feed that sent it, which may be counted as `other`."""
    is_proven: bool
    """Whether its sender was verified, or need not be."""

    def is_recent(self, now: float) -> bool:
        """Tell whether the body was rejected within ten minutes before `now`, in seconds since the epoch."""
        return now - self.when_ms / 1000 <= WARNED_SECONDS


class Rejections:
    """Counts and tells what feeds sent that was not taken; `clock` answers seconds since the epoch."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.time) -> None:
        self._metrics, self._clock = metrics, clock
        self._latest: dict[str, Rejection] = {}
        self._told: dict[tuple[str, str, bool], _Told] = {}

    def note(self, feed: str, reason: str, detail: str, body: bytes | None = b"", times: int = 1) -> None:
        """Count so much that was not taken for one of `REASONS`; `body` is the begin of what was sent.

        It is None of a sender who is not verified, who may be anybody: what he sends keeps nothing that the
        feed sent from the log and the warnings.
        """
        is_proven = body is not None and reason != Unauthorized.slug
        label, now = self._metrics.source_limit.label_of_feed(feed, is_proven=is_proven), self._clock()
        self._metrics.feed_rejected_total.labels(label, reason).inc(times)
        kept = self._latest.get(label)
        # A stranger would hide what the feed itself has sent.
        if is_proven or kept is None or not (kept.is_proven and kept.is_recent(now)):
            self._latest[label] = Rejection(int(now * 1000), reason, cut(detail), cut(feed), is_proven)
        told = self._told.setdefault((label, reason, is_proven), _Told())
        minute = int(now // _MINUTE_SECONDS)
        told.untold += times
        if minute != told.minute:
            log.warning(
                "feed not taken",
                feed=cut(feed),
                counted_as=label,
                reason=reason,
                times=told.untold,
                detail=cut(detail),
                body=shown(body or b""),
            )
            told.minute, told.untold = minute, 0

    @property
    def latest(self) -> Mapping[str, Rejection]:
        """The last rejection of each feed, by the name it is counted under."""
        return self._latest


class _Told:
    """When a feed and reason had its last line in the log, and how much was not taken since."""

    __slots__ = ("minute", "untold")

    def __init__(self) -> None:
        self.minute, self.untold = -1, 0


def warnings_of(
    latest: Iterable[Mapping[str, Rejection]], taken_ms: Callable[[str], int], now: float
) -> Iterator[tuple[WarningKey, str]]:
    """Yield a key and a sentence for each feed that sent what was not taken in the last ten minutes.

    A feed of which something was taken two minutes after that, or later, is well again and left out. `latest`
    has the rejections of each process, `taken_ms` tells when something of a feed was last taken, `now` is in
    seconds since the epoch.
    """
    newest: dict[str, Rejection] = {}
    for rejections in latest:
        for label, rejection in rejections.items():
            if rejection.is_recent(now):
                both = rejection, newest.get(label, rejection)
                newest[label] = max(both, key=lambda one: (one.is_proven, one))
    for label, rejection in sorted(newest.items()):
        taken_after_seconds = (taken_ms(label) - rejection.when_ms) / 1000
        if taken_after_seconds > WARNED_WHILE_TAKEN_SECONDS:
            continue
        taken = f"; since then some was taken, last at {_clock(taken_ms(label))} UTC"
        counted = "" if rejection.feed == label else f", counted as `{label}`,"
        what = f"What the feed {rejection.feed}{counted} sent was not taken"
        last = f"last at {_clock(rejection.when_ms)} UTC ({rejection.reason})"
        since = taken if taken_after_seconds > 0 else ""
        yield WarningKey(WarningName.FEED_NOT_TAKEN, label), f"{what}, {last}{since}: {rejection.detail}"


def _clock(at_ms: int) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(at_ms / 1000))


def shown(body: bytes) -> str:
    """Return the begin of a body as a line for the log (`cut`)."""
    return cut(body[:SHOWN_BYTES].decode("utf-8", "replace"))


def cut(text: str) -> str:
    """Return the begin of a text, at most 200 characters: control characters escaped, secrets hidden."""
    return _cut(text[:SHOWN_BYTES])


@lru_cache(128)  # a feed beyond its share of the rate has each body refused with the same sentence
def _cut(text: str) -> str:
    known = without_secrets(text)
    escaped = printable(known[: SHOWN_CHARACTERS + 1])
    return escaped if len(escaped) <= SHOWN_CHARACTERS else f"{escaped[:SHOWN_CHARACTERS]}…"
