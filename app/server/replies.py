"""Responses of a fast path, as bytes."""

from functools import lru_cache

from app.server.fast_path import Reply
from app.server.refusals import header_lines, status_line

Headers = list[tuple[bytes, bytes]]


def reply_bytes(reply: Reply, server_headers: Headers, *, keeps_alive: bool) -> bytes:
    """The whole response with the server's own headers."""
    head = _head(reply.status, *server_headers, *reply.headers)
    end = b"\r\n" if keeps_alive else b"connection: close\r\n\r\n"
    return b"%bcontent-length: %d\r\n%b%b" % (head, len(reply.body), end, reply.body)


# The server's own headers, of which one is the date, change every second.
@lru_cache(16)
def _head(status: int, *headers: tuple[bytes, bytes]) -> bytes:
    return status_line(status) + header_lines(headers)
