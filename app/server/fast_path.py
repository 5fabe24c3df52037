"""The fast path: how requests that come whole in one read are answered without ASGI.

A task, a scope and four messages for every request cost more than a small request itself. The application may
give the server a `FastPath` (see app/api/fast_posts.py), which leaves everything to ASGI that is not plain.

A client sends the same head each time, but for the figure in its Content-Length: a head that took this path
is remembered without it, and not parsed again.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple, Protocol

from app.server.heads import Head
from app.server.responses import HeaderLines, header_lines, status_line

# Together some 2 MiB: the headers of a parsed head take up to 200 bytes each beside those of the head.
MOST_HEADS, MOST_HEAD_BYTES, MOST_HEADERS = 256, 1024, 32
_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: ?([0-9]{1,9})\r\n")

Headers = Mapping[bytes, bytes]
"""Headers by their names in lower case."""


class WholeRequest(NamedTuple):
    """A POST with all of its body."""

    query: bytes
    headers: Headers
    """The headers without Content-Length, which the body has."""
    body: bytes


class Reply(NamedTuple):
    """The answer to a request: status, headers but for Content-Length, and body."""

    status: int
    headers: Iterable[tuple[bytes, bytes]]
    body: bytes


SendReply = Callable[[Reply], None]


class FastPath(Protocol):
    """Takes requests to one path."""

    @property
    def path(self) -> bytes:
        """The path as it stands in the request line, such as `b"/transactions"`."""

    def take(self, request: WholeRequest, send: SendReply) -> bool:
        """Call `send` once, later; or leave the request, which nothing has come of, to ASGI: False."""


def may_take(fast: FastPath, head: Head) -> bool:
    """Tell whether a fast path may take a request with this head.

    It knows headers by their names, so that one that stands twice is left to those who see both.
    """
    return (
        head.path == fast.path
        and head.method == b"POST"
        and head.is_plain
        and head.keeps_alive
        and not head.expects_continue
        and len(head.by_name) == len(head.fields)
    )


class KnownHeads:
    """Remembers heads of requests that took the fast path: query and headers, by the head without its length.

    What was accepted with one Content-Length is accepted with any other of one to nine digits, and means the
    same. So `Content-Length: 650` and `Content-Length: 71` of one client are one entry.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[bytes, Headers]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def find(self, raw: bytes) -> tuple[bytes, Headers, int] | None:
        """Return query, headers and the length of the body, if the head is known."""
        figure = _LENGTH.search(raw) if self._known else None
        if figure is None:
            return None
        known = self._known.get(raw[: figure.start(1)] + raw[figure.end(1) :])
        return (*known, int(figure[1])) if known else None

    def note(self, raw: bytes, head: Head, headers: Headers) -> None:
        """Remember a head, if it is small and has its length in the usual place."""
        figure = _LENGTH.search(raw)
        if figure is None or len(raw) > MOST_HEAD_BYTES or len(head.fields) > MOST_HEADERS:
            return
        if len(self._known) == MOST_HEADS:  # clients that send another one each time
            self._known.clear()
        self._known[raw[: figure.start(1)] + raw[figure.end(1) :]] = head.query, headers


def reply_bytes(reply: Reply, server_headers: HeaderLines, *, keeps_alive: bool) -> bytes:
    """Return the whole response for a fast path's reply, with the server's own headers."""
    head = _reply_head(reply.status, *server_headers, *reply.headers)
    end = b"\r\n" if keeps_alive else b"connection: close\r\n\r\n"
    return b"%bcontent-length: %d\r\n%b%b" % (head, len(reply.body), end, reply.body)


# The server's own headers, of which one is the date, change every second.
@lru_cache(16)
def _reply_head(status: int, *headers: tuple[bytes, bytes]) -> bytes:
    return status_line(status) + header_lines(headers)
