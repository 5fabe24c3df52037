"""Requests that came whole, in one read: what it takes to answer them without ASGI.

A task, a scope and four messages for every request cost more than a small request itself. Whoever has a fast
path leaves everything to ASGI that is not plain.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple, Protocol

from uvicorn._types import HTTPScope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

Headers = Mapping[bytes, bytes]
"""By their names in lower case."""


class WholeRequest(NamedTuple):
    """A POST with all of its body."""

    query: bytes
    headers: Headers
    body: bytes


class Reply(NamedTuple):
    """What is answered."""

    status: int
    headers: Iterable[tuple[bytes, bytes]]
    body: bytes


SendReply = Callable[[Reply], None]


class FastPath(Protocol):
    """Takes requests to one path."""

    @property
    def path(self) -> bytes:
        """As it stands in the request line."""

    def take(self, request: WholeRequest, send: SendReply) -> bool:
        """Call `send` once, later; or leave the request, which nothing has come of, to ASGI: False."""


class FastCycle:
    """A request under way and its response, in the place of uvicorn's `RequestResponseCycle`."""

    __slots__ = (
        "_state",
        "_transport",
        "body",
        "disconnected",
        "keep_alive",
        "on_response",
        "response_complete",
        "response_started",
        "scope",
    )

    # What uvicorn and the protocol look at; of a request that is here none of it changes.
    more_body = False
    waiting_for_100_continue = False
    message_event = asyncio.Event()

    def __init__(
        self,
        scope: HTTPScope,
        body: bytes,
        transport: asyncio.Transport,
        state: ServerState,
        on_response: Callable[[], None],
    ) -> None:
        self.scope, self.body, self.on_response = scope, body, on_response
        self._transport, self._state = transport, state
        self.keep_alive = True
        self.disconnected = self.response_started = self.response_complete = False

    def send(self, reply: Reply) -> None:
        """Send the response with one write."""
        self.response_started = self.response_complete = True
        if self.disconnected:
            return
        head = _head(reply.status, *self._state.default_headers, *reply.headers)
        end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        self._transport.write(b"%bcontent-length: %d\r\n%b%b" % (head, len(reply.body), end, reply.body))
        if not self.keep_alive:
            self._transport.close()
        self.on_response()


# The server's own headers, of which one is the date, change every second.
@lru_cache(16)
def _head(status: int, *headers: tuple[bytes, bytes]) -> bytes:
    return b"".join((STATUS_LINE[status], *(b"%b: %b\r\n" % header for header in headers)))
