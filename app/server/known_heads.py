"""Heads of requests that took the fast path: one that comes again is not parsed.

A client sends the same head each time, but for the figure in its Content-Length. What was accepted with one
figure is accepted with any other of one to nine digits, and means the same.
"""

import re

from app.server.fast_path import Headers
from app.server.heads import Head

# Together some 2 MiB: the headers of a parsed head take up to 200 bytes each beside those of the head.
MOST_HEADS, MOST_HEAD_BYTES, MOST_HEADERS = 256, 1024, 32
_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: ?([0-9]{1,9})\r\n")


class KnownHeads:
    """Query and headers without Content-Length, by the head without its figure."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[bytes, Headers]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def find(self, raw: bytes) -> tuple[bytes, Headers, int] | None:
        """Query, headers and the length of the body, if the head is known."""
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
