"""Cuts NDJSON into lines as its bytes arrive, however they were cut on their way.

Of `{"signature":"A"}`, a line end and `{"sig` the first line is told at once, and `{"sig` waits for the rest
of its own. A line that grows past the limit is not kept: only its length is counted, for the error that names
it.
"""

from collections.abc import Iterator

from app.decode.array_scanner import BYTE_ORDER_MARK, SPACE
from app.decode.event_loop_turns import ITEM_COST, ONE_BY_ONE_BYTES


def parts_of_lines(piece: bytes) -> Iterator[bytes]:
    """Yield a piece of NDJSON in parts, the lines of each of which are decoded in one turn.

    A line costs a turn its bytes and `ITEM_COST`, so 64 KiB are one part if lines have 256 bytes or more. Of
    empty lines, one is left of many.
    """
    if not piece.strip(SPACE):  # 32 MiB of blank lines fit into 32 KB of gzip
        piece = b"\n" if b"\n" in piece else piece
    while b"\n\n" in piece:
        piece = piece.replace(b"\n\n", b"\n")
    start = 0
    while start < len(piece):
        size = len(piece) - start
        while (cost := size + ITEM_COST * piece.count(b"\n", start, start + size)) > ONE_BY_ONE_BYTES:
            size = max(1, size * ONE_BY_ONE_BYTES // cost)
        yield piece[start : start + size]
        start += size


class LineSplitter:
    """Cuts a stream into lines without white space around them; of one past the limit it tells the length."""

    def __init__(self, max_line_bytes: int) -> None:
        self._limit = max_line_bytes
        # What has come of a byte order mark, until it is known whether it is one.
        self._mark: bytes | None = b""
        # The line that has not ended, without white space before it: never more than the limit of it.
        self._rest = bytearray()
        self._length = 0  # up to the last character that is no white space
        self._space = 0  # the white space after that

    @property
    def pending_bytes(self) -> int:
        """Return the bytes held of a line that has not ended."""
        return len(self._rest)

    def feed(self, piece: bytes) -> list[bytes | int]:
        """Return the lines that end in this piece, blank ones left out; of one too long, its length."""
        if self._mark is not None:
            piece = self._without_mark(piece)
        first, *others = piece.split(b"\n")
        if not others:
            self._keep(first)
            return []
        rest = others.pop()
        ended = (self._end(first), *(part.strip(SPACE) for part in others))
        self._keep(rest)
        return [line if isinstance(line, int) else self._bounded(line) for line in ended if line]

    def flush(self) -> list[bytes | int]:
        """Return the last line, should it not have ended."""
        line = self._end(self._mark or b"")
        return [line] if line else []

    def _without_mark(self, piece: bytes) -> bytes:
        piece = (self._mark or b"") + piece
        if len(piece) < len(BYTE_ORDER_MARK) and BYTE_ORDER_MARK.startswith(piece):
            self._mark = piece
            return b""
        self._mark = None
        return piece.removeprefix(BYTE_ORDER_MARK)

    def _bounded(self, line: bytes) -> bytes | int:
        return line if len(line) <= self._limit else len(line)

    def _keep(self, part: bytes) -> None:
        if not self._length:
            part = part.lstrip(SPACE)
        solid = len(part.rstrip(SPACE))
        if solid:
            self._length += self._space + solid
            self._space = len(part) - solid
        else:
            self._space += len(part)
        if self._length > self._limit:
            self._rest.clear()
        else:
            self._rest += part[: self._limit - len(self._rest)]

    def _end(self, part: bytes) -> bytes | int:
        self._keep(part)
        line: bytes | int = self._length
        if self._length <= self._limit:
            line = bytes(self._rest[: self._length])
        self._rest.clear()
        self._length = self._space = 0
        return line
