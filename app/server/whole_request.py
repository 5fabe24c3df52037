"""How requests that come whole in one read are answered without ASGI.

A task, a scope and four messages for every request cost more than a small request itself. The application may
give the server a `FastPath` (see app/api/fast_posts.py), which leaves everything to ASGI that is not plain.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

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
