"""Admits requests that post transactions, or refuses them by their head, before a body is read.

All ways in ask here first: the fast path, and the ordinary one. What is the client's fault is said first,
since sending the request again will not help: 401 without a token, 422 for `?sourc=helius` (did you mean
source?), 415 for a form. Then comes what passes: 503 while memory is near its limit (pressure_levels.py
says when), or too many bodies are under way (body_budget.py). A feed sends the same head with every
request, so that what it says is worked out once and looked up from then on. A feed under its own address
(`POST /feeds/helius-a`) sends what its provider sends: its media type says nothing, and its name stands in
the address alone. Where it signs its bodies, who sends is known only when a body has come and was
verified: what is wrong with a request otherwise is said after that.
"""

import re
import time
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl

from app.auth import Access
from app.decode.body_budget import ByteBudget, Headroom
from app.decode.body_reader import Headers, body_too_large, media_type
from app.decode.gzip import inflater_for
from app.decode.item import ItemLimits
from app.errors import InvalidRequest, MemoryPressure, NotFound, RetryLater, UnsupportedMedia
from app.feeds.feed import Feed
from app.feeds.webhook_hmac import Fields, signed_headers
from app.metrics.catalogue import Metrics
from app.models import DEFAULT_SOURCE, SOURCE_PATTERN, SOURCE_RULE
from app.store.settings_in_force import LiveSettings

JSON = "application/json"
NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
PARAMETERS = ("source",)
_SOURCE = re.compile(SOURCE_PATTERN)
_SHOWN_CHARACTERS = 64


class Admitted(NamedTuple):
    """Limits for the items of an admitted request, and whether its body is NDJSON."""

    limits: ItemLimits
    is_lines: bool


class Admission:
    """Checks sender, parameters, media type, length, pressure and budget; and counts what is refused."""

    def __init__(
        self,
        access: Access,
        live: LiveSettings,
        headroom: Headroom,
        budget: ByteBudget,
        metrics: Metrics,
    ) -> None:
        self._access, self._live, self._headroom = access, live, headroom
        self._budget, self._metrics = budget, metrics

    def admit(self, query: bytes, headers: Headers, length: int) -> Admitted:
        """Admit a request with a body of `length` bytes, 0 when that is not known; return how it is read.

        Raises:
            Unauthorized: no valid token.
            InvalidRequest: an unknown parameter, or a source that cannot be one.
            UnsupportedMedia: neither JSON nor NDJSON, not UTF-8, or coded otherwise than with gzip.
            BodyTooLarge: a JSON document that is too long.
            MemoryPressure, Overloaded: not now.
        """
        self._access.check_ingest(authorization(headers))
        settings, get = self._live.settings, headers.get
        terms = _terms(
            (settings.max_payload_bytes, settings.max_payload_depth),
            query,
            get(b"x-source", b""),
            get(b"content-type", b""),
            get(b"content-encoding", b""),
        )
        if not terms.is_lines and length > settings.max_body_bytes:
            raise body_too_large(length, settings.max_body_bytes)
        self.check_pressure()
        if not terms.is_lines:
            # Known to be too much, it is refused before it takes room from those that could be finished.
            self._budget.check(length)
        return terms

    def admit_sender(self, feed: Feed, fields: Fields) -> None:
        """Admit the sender of a request to a feed by the head, of which each header is in `fields`.

        The bodies of a feed that signs are verified when they have come; a token counts for nothing there.

        Raises:
            NotFound: the name is none that a feed can have.
            Unauthorized: no valid token, or nothing that may be the signature of a body.
            MemoryPressure: no body that would have to be verified is read now.
        """
        if not _SOURCE.match(feed.name):
            raise NotFound(_no_feed(feed.name))
        if feed.signature is None:
            self._access.check_feed(authorization(headers_of(fields)))
        else:
            feed.signature.check_head(signed_headers(fields), time.time())
            self.check_pressure()

    def admit_feed(self, name: str, query: bytes, headers: Headers) -> ItemLimits:
        """Admit a request to a feed, of a sender who is known.

        Raises:
            InvalidRequest: the request names a source beside the feed, or has a parameter.
            UnsupportedMedia: the body is coded otherwise than with gzip.
            MemoryPressure: not now.
        """
        if query or headers.get(b"x-source"):
            what = _parameter(query) if query else "X-Source"
            raise InvalidRequest(
                f"{what}: leave it out, the feed in the address is the source: /feeds/{name}"
            )
        settings = self._live.settings
        inflater_for(headers.get(b"content-encoding", b"").decode("latin-1"), 0)  # for its error
        self.check_pressure()
        return ItemLimits(settings.max_payload_bytes, settings.max_payload_depth, name)

    def check_pressure(self) -> None:
        """Raise MemoryPressure while the guard (app/guard/guard.py) lets nothing in."""
        if self._headroom.refuses:
            raise MemoryPressure(
                "memory is near its limit (TIDEGATE_MEMORY_HARD_RATIO); cleanup is under way, send this again"
            )

    def count_refused(self, error: RetryLater, source: str) -> None:
        """Count a request of the source that is refused for now, and one transaction unless its own were."""
        self._metrics.count_refusal(error.slug, None if error.is_counted else source)


def headers_of(fields: Fields) -> dict[bytes, bytes]:
    """Return the headers of a request by their names, of several with one name the last.

    Of `Authorization` twice, a proxy may have looked at the first: both stand there, which is no valid token.
    """
    fields = list(fields)
    headers = dict(fields)
    if len(headers) < len(fields):
        given = [value for name, value in fields if name == b"authorization"]
        if len(given) > 1:
            headers[b"authorization"] = b", ".join(given)
    return headers


def authorization(headers: Headers) -> str | None:
    """Return the Authorization header, None without one."""
    value = headers.get(b"authorization")
    return value if value is None else value.decode("latin-1")


# A feed sends the same head with every request.
@lru_cache(256)
def _terms(payload: tuple[int, int], query: bytes, source: bytes, media: bytes, coding: bytes) -> Admitted:
    most_bytes, most_depth = payload
    limits = ItemLimits(most_bytes, most_depth, _source(query, source))
    is_lines = _is_lines(media_type(media))
    inflater_for(coding.decode("latin-1"), 0)  # for its error
    return Admitted(limits, is_lines)


def _is_lines(media: str) -> bool:
    if media == JSON:
        return False
    if media in NDJSON:
        return True
    found = f"Content-Type {media!r}" if media else "there is no Content-Type"
    if media == "application/x-www-form-urlencoded":
        found += " is what curl -d sends unless it is told"
    raise UnsupportedMedia(
        f"{found}: send the header `Content-Type: application/json` with one object or an array, "
        "or `Content-Type: application/x-ndjson` with an object a line"
    )


def _source(query: bytes, header: bytes) -> str:
    """Return the source that a request names, or the default."""
    named = None
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in PARAMETERS:
            raise InvalidRequest(_unknown(name))
        named = value
    source = header.decode("latin-1") or DEFAULT_SOURCE if named is None else named
    if not _SOURCE.match(source):
        where = "X-Source" if named is None else "source"
        raise InvalidRequest(f"{where}: {SOURCE_RULE}")
    return source


def _no_feed(name: str) -> str:
    """Say of an address that no feed can have what it should be."""
    shown, feed = ascii(name[:_SHOWN_CHARACTERS])[1:-1], name.rstrip("/")
    if feed != name and _SOURCE.match(feed):
        return f"POST /feeds/{shown}: leave the slash at its end out: POST /feeds/{feed}; see /docs"
    return f"/feeds/{shown}: the name of a feed is {SOURCE_RULE}; see /docs"


def _unknown(name: str) -> str:
    shown = ascii(name[:_SHOWN_CHARACTERS])[1:-1]
    near = get_close_matches(name[:_SHOWN_CHARACTERS].lower(), PARAMETERS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(PARAMETERS)}"
    return f"unknown parameter {shown}; {hint}"


def _parameter(query: bytes) -> str:
    """Return the name of a query's first parameter with a value, which may be a secret and is not told."""
    name = next((pair.partition(b"=")[0] for pair in query.split(b"&") if b"=" in pair), None)
    if name is None:
        return "a query"
    return "?" + ascii(name[:_SHOWN_CHARACTERS].decode("latin-1"))[1:-1]


def source_named(query: bytes, headers: Headers) -> str:
    """Return the source that a request names, or the default when it names none, or one that cannot be."""
    try:
        return _source(query, headers.get(b"x-source", b""))
    except InvalidRequest:
        return DEFAULT_SOURCE


def feed_named(name: str) -> str:
    """Return the source that the address of a feed names, or the default when it cannot be one."""
    return name if _SOURCE.match(name) else DEFAULT_SOURCE
