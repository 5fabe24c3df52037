"""What a client may take of the gate over HTTP: the limits, and what is answered past each of them.

`Limits` has the figures, `State` the states of a connection, and `BOUNDS` is the table of both: for each
reason to refuse, in which states it can come up and what the client is told. So a head of 17 KiB is answered
431 with `header-too-large`, and a client that reads no byte of its answer is cut off without one
(`ABORTED`). Below the table are the turns that connections share; what they hold together is counted in
held_bytes.py. What a client sends is held against the figures where it is read: a head in receive_buffer.py
and heads.py, a body in body_framing.py.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

CONNECTIONS_A_TURN: Final = 4
RETRY_AFTER_SECONDS = 1
LINGERING_REFUSED: Final = 64
"""Connections past the limit that are let read why; of more at once the rest is closed without waiting."""
ABORTED = 0
"""A bound with this in the place of a status is not answered: the connection is cut off."""


class State(Enum):
    """The states of a connection, which serves one request at a time.

    HEAD → BODY → ANSWER → HEAD → … is the way of most requests. An answer that comes before the body is
    whole leads from BODY to DRAIN, and on to HEAD when the body has passed. A refusal, and an answer that is
    the last one, lead to LINGER, and everything ends in CLOSED.
    """

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
    """The figures: how much and how long one connection may take, and all of them together."""

    header_bytes: int = 16 * 1024
    """The most bytes of a request's line and headers with line ends, and of a chunked body's trailers."""
    header_seconds: float = 10
    """Seconds from a request's first byte, or from a connection's start, to the end of its headers."""
    body_seconds: float = 10
    """Seconds a client may pause within a body, while nothing but the client holds it up."""
    connections: int = 2048
    """The most connections that are open at once; those that are idle longest make room for new ones."""
    header_count: int = 100
    """The most header lines of a request, and the most trailers of a chunked body."""
    send_seconds: float = 10
    """Seconds in which a client has to take at least a byte of an answer."""
    held_bytes: int = 32 * 1024 * 1024
    """The most bytes of heads, unread bodies, pipelined requests and unsent answers of all connections.

    Of a head that was parsed, what is kept of it until the answer, unless that is little."""
    drained_bytes: int = 64 * 1024 * 1024
    """The most bytes that are read and dropped after an answer, so that the client gets to read it."""
    linger_seconds: float = 30
    """The most seconds for which bytes are dropped that come after an answer."""


class Bound(NamedTuple):
    """A row of the table: a reason to refuse, and what the client is told."""

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
        "What all connections have sent and not yet been answered has reached its part of {held_bytes} bytes "
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
        "unfinished-answer",
        ABORTED,
        (State.ANSWER,),
        "",
        "The answer cannot be ended",
        "A stream was cut off: the rest of a line has left the store, or the gate stopped and the client did "
        "not read.",
    ),
    Bound(
        "client-gone",
        ABORTED,
        (State.BODY, State.ANSWER),
        "",
        "The client went away before its turn",
        "The connection was lost while the body waited for its turn to be decoded. What was not stored of it "
        "by then is let go.",
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


class RoundRobin:
    """Gives connections with work left over their turns: pipelined requests, and chunked bodies in parts.

    A thousand connections that each have something left over would make a turn of the event loop last a
    second, and an ordinary post takes several turns. So a turn of the loop goes on with a few of them, in
    the order they came, and leaves the others to the next. All connections of a process share one of these;
    bodies that take long to decode have a queue of their own (`app/decode/event_loop_turns.py`).
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    def call_soon(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        """Call back once, in a later turn of the loop."""
        if not self._waiting:
            loop.call_soon(self._call_some, loop)
        self._waiting.append(callback)

    def _call_some(self, loop: asyncio.AbstractEventLoop) -> None:
        due = [self._waiting.popleft() for _ in range(min(CONNECTIONS_A_TURN, len(self._waiting)))]
        if self._waiting:
            loop.call_soon(self._call_some, loop)
        for callback in due:  # each on its own, should one raise
            loop.call_soon(callback)
