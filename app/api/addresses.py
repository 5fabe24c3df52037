"""Every address of the gate: its methods, who may call them and with what.

One table for all processes. A worker judges a request by it before it passes anything on or answers itself,
the control plane before a handler is called. What does not stand here cannot be reached.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from enum import Enum
from typing import Final, NamedTuple

SMALL_BODY_BYTES: Final = 16 * 1024
# Webhooks have some KiB, and those of a thousand alerts less than this.
ALERT_BODY_BYTES: Final = 1024 * 1024
TRANSACTIONS: Final = "/transactions"
BELOW_FEEDS: Final = "/feeds/"
STREAM: Final = "/stream"
CONSUMERS: Final = "/consumers"
LIVEZ: Final = "/livez"
READYZ: Final = "/readyz"
METRICS: Final = "/metrics"
SWAGGER_UI: Final = {
    "/docs/swagger-ui-bundle.js": "text/javascript",
    "/docs/swagger-ui.css": "text/css",
    "/docs/favicon-32x32.png": "image/png",
}
"""What the page at `/docs` loads, with its media type."""
PAGE_FIGURES: Final = "/page/figures"
PAGE_EVENTS: Final = "/page/events"
PAGE_FILES: Final = {"/page/style.css": "text/css", "/page/script.js": "text/javascript"}
"""What the live page loads, with its media type."""
# Probes and scrapes must be answered above all when there is too much to do.
NEVER_REFUSED: Final = frozenset({LIVEZ, READYZ, METRICS})

_BELOW_TRANSACTIONS = f"{TRANSACTIONS}/"
_BELOW_CONSUMERS = f"{CONSUMERS}/"
# Longer paths are no slip of the pen, and comparing them takes time.
_LONGEST_NEAR_MISS = 64


class Token(Enum):
    """Which token a client needs."""

    NONE = "none, or the handler asks for it"
    READING = "an ingest or an admin token"
    ADMIN = "an admin token"


class Call(NamedTuple):
    """What one method of an address asks of a request."""

    token: Token = Token.NONE
    """Which token a client needs for this call."""
    parameters: frozenset[str] | None = frozenset()
    """The known query parameters; None where any is let pass, such as the cache buster of a probe."""
    takes_body: bool = False
    """Whether this call reads a body; the body of any other call is dropped."""
    most_body_bytes: int = SMALL_BODY_BYTES
    """The most bytes of a body."""


class PathItem(NamedTuple):
    """A path with its calls by method; the path is the label of its metrics."""

    path: str
    calls: Mapping[str, Call]

    @property
    def allow(self) -> str:
        """The value of `Allow`: where there is GET, there is HEAD."""
        return ", ".join(sorted({*self.calls, *(("HEAD",) if "GET" in self.calls else ())}))

    def call(self, method: str) -> Call | None:
        """Find what the method asks for; None when the address does not have it."""
        return self.calls.get(method)


_OPEN = Call(parameters=None)
_FIGURES = Call()
_ADMIN = Call(Token.ADMIN)
_READING = Call(Token.READING)
_CLEANUP = Call(Token.ADMIN, parameters=frozenset({"map", "dry_run"}))
_CALLS: Mapping[str, Mapping[str, Call]] = {
    TRANSACTIONS: {"POST": _OPEN},
    STREAM: {
        "GET": Call(Token.READING, frozenset({"from", "after", "source", "payload", "limit"})),
    },
    CONSUMERS: {"GET": _READING},
    "/stats": {"GET": _FIGURES},
    "/sources": {"GET": _FIGURES},
    "/reports/daily": {"GET": Call(parameters=frozenset({"day"}))},
    "/reports/recent": {"GET": Call(parameters=frozenset({"hours"}))},
    "/cleanup": {"GET": _ADMIN, "POST": _CLEANUP},
    "/cleanup/emergency": {"POST": _CLEANUP},
    "/memory": {"GET": _FIGURES},
    "/memory/reset": {"POST": _ADMIN},
    "/alerts": {
        "GET": _ADMIN,
        "POST": Call(Token.ADMIN, takes_body=True, most_body_bytes=ALERT_BODY_BYTES),
    },
    "/drill": {
        "GET": _FIGURES,
        "POST": Call(Token.ADMIN, frozenset({"drill", "seconds", "bytes", "map", "refuse_ingest"})),
        "DELETE": _ADMIN,
    },
    "/settings": {"GET": _ADMIN, "PATCH": Call(Token.ADMIN, takes_body=True)},
    LIVEZ: {"GET": _OPEN},
    READYZ: {"GET": _OPEN},
    METRICS: {"GET": _OPEN},
    "/": {"GET": _OPEN},
    PAGE_FIGURES: {"GET": _FIGURES},
    PAGE_EVENTS: {"GET": _FIGURES},
    **{path: {"GET": _OPEN} for path in PAGE_FILES},
    "/docs": {"GET": _OPEN},
    **{path: {"GET": _OPEN} for path in SWAGGER_UI},
    "/openapi.json": {"GET": _OPEN},
}
ADDRESSES: Mapping[str, PathItem] = {path: PathItem(path, calls) for path, calls in _CALLS.items()}
LOOKUP: Final = PathItem(f"{TRANSACTIONS}/{{signature:path}}", {"GET": _OPEN})
FEED: Final = PathItem(f"{BELOW_FEEDS}{{feed}}", {"POST": _OPEN})
_LEASE = Call(Token.READING, frozenset({"limit", "wait_seconds", "lease_seconds", "from"}))
_COMMIT = Call(Token.READING, takes_body=True)
CONSUMER: Mapping[str, PathItem] = {
    action: PathItem(f"{CONSUMERS}/{{name}}{action}", calls)
    for action, calls in {
        "": {"DELETE": _READING},
        "/lease": {"POST": _LEASE},
        "/commit": {"POST": _COMMIT},
        "/seek": {"POST": _COMMIT},
    }.items()
}
"""What can be done with one consumer, by what follows its name in the path."""
DATA_PLANE: Final = frozenset(
    {TRANSACTIONS, LOOKUP.path, FEED.path, STREAM, CONSUMERS, *(each.path for each in CONSUMER.values())}
)
"""The paths, as metrics label them, that every process answers itself, and that need no admin token."""


def address_of(path: str) -> PathItem | None:
    """Find the address a path belongs to, None when there is none."""
    if path.startswith(_BELOW_TRANSACTIONS) and path != _BELOW_TRANSACTIONS:
        return LOOKUP
    if path.startswith(BELOW_FEEDS) and path != BELOW_FEEDS:
        return FEED
    if path.startswith(_BELOW_CONSUMERS):
        name, slash, action = path.removeprefix(_BELOW_CONSUMERS).partition("/")
        return CONSUMER.get(slash + action) if name else None
    return ADDRESSES.get(path)


def near_consumer(path: str) -> str | None:
    """Return what was meant by an address such as `/consumers/bot/leese`, None when it is unlike any."""
    name, slash, action = path.removeprefix(_BELOW_CONSUMERS).partition("/")
    near = nearest(action, frozenset(known.removeprefix("/") for known in CONSUMER))
    if not (path.startswith(_BELOW_CONSUMERS) and name and slash and near):
        return None
    return f"{_BELOW_CONSUMERS}{name}/{near}"


def nearest(word: str, known: Mapping[str, object] | frozenset[str]) -> str | None:
    """Find the known word that is most like this one, None when none is much like it."""
    if len(word) > _LONGEST_NEAR_MISS:
        return None
    return next(iter(get_close_matches(word.lower(), sorted(known), 1)), None)
