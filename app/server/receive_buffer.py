"""Bytes that a connection has received and not parsed, and where in them a head ends.

A head may come in any pieces: of `GET / HT` nothing is known yet but that it may become one, while a line
that ends with a line feed alone never will. What was looked through is not looked through again, so that a
head that comes byte by byte costs no more than one that comes at once. Nothing is parsed here; `heads.py`
parses a head that is whole.
"""

import re
from typing import Final

from app.server.heads import HEAD_END, RefusedError, count_lines
from app.server.limits import Limits

NO_HEAD: Final = 0
_EMPTY_LINES = re.compile(rb"(?:\r\n)*")
_FRAMING = re.compile(rb"\r\n(?:content-length:[ \t]*(\d{1,18})|transfer-encoding:)", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class ReceiveBuffer:
    """Received bytes, and how far they were looked through for the end of a head."""

    __slots__ = ("_empty", "_limits", "_lines", "_seen", "raw")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.raw = bytearray()
        self._seen = self._lines = self._empty = 0

    @property
    def has_begun(self) -> bool:
        """Tell whether a head has begun, with more than an empty line before it."""
        return self._seen > 0

    def head_end(self) -> int:
        """Return where the head ends, or `NO_HEAD` while it is not whole.

        Raises:
            RefusedError: it will be too large, have too many lines, or be no head.
        """
        raw, limits = self.raw, self._limits
        if raw.startswith(b"\r\n"):
            self._skip_empty_lines()
        end = raw.find(HEAD_END, max(self._seen - len(HEAD_END) + 1, 0)) + len(HEAD_END)
        is_whole = end >= len(HEAD_END)
        if (end if is_whole else len(raw)) > limits.header_bytes:
            self._look_through(limits.header_bytes)  # for what is wrong before
            raise RefusedError("header-too-large")
        if is_whole:
            self._seen = self._lines = self._empty = 0
            return end
        if raw and raw != b"\r":
            self._look_through(len(raw))
        return NO_HEAD

    def _skip_empty_lines(self) -> None:
        """Drop empty lines before a request (RFC 9112, section 2.2)."""
        size = _after_empty_lines(self.raw, 0)
        self._empty += size
        if self._empty > self._limits.header_bytes:
            raise RefusedError("header-too-large")
        del self.raw[:size]

    def _look_through(self, end: int) -> None:
        self._lines = count_lines(self.raw, self._seen, end, self._lines, self._limits.header_count)
        self._seen = end

    def keep(self, data: bytes | bytearray, start: int) -> None:
        """Keep what follows in data, which may be this buffer's own."""
        if data is self.raw:
            del self.raw[:start]
        elif start < len(data):
            self.raw += data[start:]

    def requests(self) -> int:
        """Count the requests that have come, one that is not whole too; they are told apart, not parsed.

        A chunked body with trailers, or with what looks like a last chunk, may be taken for more or fewer.
        """
        raw, count, at = self.raw, 0, 0
        while (at := _after_empty_lines(raw, at)) < len(raw):
            count += 1
            end = raw.find(HEAD_END, at)
            if end < 0:
                break
            framing = _FRAMING.search(raw, at, end)
            at = end + len(HEAD_END)
            if framing is not None and framing[1] is None:
                last = raw.find(_LAST_CHUNK, end + 2)
                at = last + len(_LAST_CHUNK) if last >= 0 else len(raw)
            elif framing is not None:
                at += int(framing[1])
        return count

    def clear(self) -> None:
        """Forget all."""
        self.raw.clear()
        self._seen = self._lines = self._empty = 0


def _after_empty_lines(raw: bytearray, at: int) -> int:
    """Return where something other than an empty line stands."""
    lines = _EMPTY_LINES.match(raw, at)
    return lines.end() if lines else at
