"""The bounds of the HTTP protocol in one table: what each is, where it holds, what is answered past it."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

RETRY_AFTER_SECONDS = 1
ABORTED = 0
"""In the place of a status: nothing is answered, the connection is cut off."""


class State(Enum):
    """How far a connection is; it serves one request at a time."""

    HEAD = "the head of a request is awaited or collected, and nothing of it parsed"
    BODY = "the head was taken, the body is coming in"
    ANSWER = "the request is whole, its answer under way; what follows it waits unparsed"
    DRAIN = "answered before the body was whole, the rest of which is read and dropped"
    LINGER = (
        "the last answer was sent, and no more will be; what still comes is dropped until the client closes"
    )
    CLOSED = "the connection has ended"


@dataclass(frozen=True)
class Limits:
    """What one connection may take, and all of them together."""

    header_bytes: int = 16 * 1024
    """The most bytes of a request's line and headers with line ends, and of a chunked body's trailers."""
    header_seconds: float = 10
    """Seconds from a request's first byte, or from a connection's start, to the end of its headers."""
    body_seconds: float = 10
    """Seconds a client may pause within a body, while nothing but the client holds it up."""
    connections: int = 2048
    """The most connections that are open at once, idle ones too."""
    header_count: int = 100
    """The most header lines of a request, and the most trailers of a chunked body."""
    send_seconds: float = 10
    """Seconds in which a client has to take at least a byte of an answer."""
    held_bytes: int = 32 * 1024 * 1024
    """The most bytes of heads, unread bodies, pipelined requests and unsent answers of all connections."""
    drained_bytes: int = 64 * 1024 * 1024
    """The most bytes that are read and dropped after an answer, so that the client gets to read it."""
    linger_seconds: float = 30
    """The most seconds for which bytes are dropped that come after an answer."""


class Bound(NamedTuple):
    """A row of the table."""

    reason: str
    """The end of the problem's type, and the label of `tidegate_connection_refusals_total`."""
    status: int
    states: tuple[State, ...]
    limit: str
    """The field of `Limits`; empty for a rule of HTTP, which has no figure."""
    title: str
    detail: str
    """A sentence, with fields of `Limits` in braces."""


_HEAD, _BODY = (State.HEAD,), (State.BODY,)

BOUNDS = (
    Bound(
        "too-many-connections",
        503,
        _HEAD,
        "connections",
        "Too many connections are open",
        "{connections} connections are open, which is the limit (TIDEGATE_MAX_CONNECTIONS). "
        f"Connect again after {RETRY_AFTER_SECONDS} second, and use a connection for many requests.",
    ),
    Bound(
        "connection-bytes",
        503,
        (State.HEAD, State.BODY, State.ANSWER, State.DRAIN),
        "held_bytes",
        "The connections hold too many bytes",
        "What all connections have sent and not yet been answered has reached {held_bytes} bytes "
        f"(TIDEGATE_MAX_CONNECTION_BYTES). Send this again after {RETRY_AFTER_SECONDS} second.",
    ),
    Bound(
        "header-too-large",
        431,
        (State.HEAD, State.BODY),
        "header_bytes",
        "The request's headers are too large",
        "The request line and headers are more than {header_bytes} bytes "
        "(TIDEGATE_MAX_HEADER_BYTES). Send fewer or shorter headers, or a shorter URL.",
    ),
    Bound(
        "too-many-headers",
        431,
        (State.HEAD, State.BODY),
        "header_count",
        "The request has too many headers",
        "The request has more than {header_count} header lines (TIDEGATE_MAX_HEADERS). Send fewer.",
    ),
    Bound(
        "header-timeout",
        408,
        _HEAD,
        "header_seconds",
        "The request's headers took too long",
        "The headers were not complete within {header_seconds:g} seconds "
        "(TIDEGATE_RECEIVE_DEADLINE_SECONDS). Connect again and send the request without a pause.",
    ),
    Bound(
        "body-timeout",
        408,
        _BODY,
        "body_seconds",
        "The request's body took too long",
        "No byte of the body came for {body_seconds:g} seconds "
        "(TIDEGATE_RECEIVE_DEADLINE_SECONDS). Connect again and send the body without such a pause.",
    ),
    Bound(
        "send-timeout",
        ABORTED,
        (State.BODY, State.ANSWER, State.DRAIN, State.LINGER),
        "send_seconds",
        "The answer was not read",
        "The client took no byte of an answer for {send_seconds:g} seconds (TIDEGATE_SEND_DEADLINE_SECONDS).",
    ),
    Bound(
        "unread-body",
        ABORTED,
        (State.DRAIN, State.LINGER),
        "drained_bytes",
        "The client went on sending after its answer",
        "More than {drained_bytes} bytes came after an answer that ended the connection, or for too long.",
    ),
    Bound(
        "malformed-request",
        400,
        (State.HEAD, State.BODY),
        "",
        "The request is not valid HTTP",
        "What came is not an HTTP/1.1 request (RFC 9112). Check the request line, the headers, and "
        "that the body is as long as Content-Length or the chunks say.",
    ),
    Bound(
        "incomplete-request",
        400,
        (State.HEAD, State.BODY),
        "",
        "The request ends too early",
        "The client ended its side of the connection before the request was whole. "
        "Check Content-Length, and that a chunked body ends with its last chunk.",
    ),
    Bound(
        "invalid-host",
        400,
        _HEAD,
        "",
        "The request needs one valid Host header",
        "An HTTP/1.1 request has exactly one Host header, with a name or address and perhaps a port "
        "(RFC 9112, section 3.2).",
    ),
    Bound(
        "unknown-expectation",
        417,
        _HEAD,
        "",
        "The expectation cannot be met",
        "The only expectation that is known is `Expect: 100-continue`. Send the request without the header.",
    ),
    Bound(
        "not-implemented",
        501,
        _HEAD,
        "",
        "The method or transfer coding is not implemented",
        "Use a method of HTTP other than CONNECT, and no transfer coding other than chunked; "
        "a body may be compressed with `Content-Encoding: gzip`.",
    ),
    Bound(
        "unsupported-version",
        505,
        _HEAD,
        "",
        "The version of HTTP is not supported",
        "Send the request as HTTP/1.1.",
    ),
    Bound(
        "internal",
        500,
        (State.BODY, State.ANSWER),
        "",
        "The gate has a bug",
        "The request could not be answered. Report it, with the log line `request failed`.",
    ),
)
