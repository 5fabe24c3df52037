"""Heads of requests that took the fast path: one that comes again needs no parser.

A client sends the same head each time, but for its Content-Length.
"""

import re

from app.http.fast_path import Headers

MOST_HEADS, MOST_HEAD_BYTES = 1024, 1024
_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: ?([0-9]{1,9})\r\n")


class Heads:
    """What the parser made of each, by the head without its length."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[bytes, Headers]] = {}

    def find(self, data: bytes) -> tuple[bytes, Headers, bytes] | None:
        """Query, headers and body, if the data is just one request with a head that is known."""
        head, body = _cut(data)
        known = self._known.get(head)
        return (*known, body) if known else None

    def note(self, data: bytes, query: bytes, headers: Headers, body: bytes) -> None:
        """Remember a head that the parser found in data that is just one request."""
        head, rest = _cut(data)
        if rest != body or not 0 < len(head) <= MOST_HEAD_BYTES:
            return
        if len(self._known) == MOST_HEADS:  # clients that send another one each time
            self._known.clear()
        self._known[head] = query, headers


def _cut(data: bytes) -> tuple[bytes, bytes]:
    """The head without its length, and the body; nothing if that is not all there is."""
    end = data.find(b"\r\n\r\n") + 4
    length = _LENGTH.search(data, 0, end)
    if length is None or end + int(length[1]) != len(data):
        return b"", b""
    return data[: length.start(1)] + data[length.end(1) : end], data[end:]
