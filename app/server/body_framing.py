"""Decodes bodies as they come in: by their length, or in chunks, which httptools decodes."""

from typing import Final, Protocol

import httptools

from app.server.heads import CHUNKED, HEAD_END, RefusedError
from app.server.limits import Limits

_CHUNKED_HEAD = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


class Body(Protocol):
    """Decodes one body."""

    turn_bytes: int
    """The most bytes that are decoded in one turn of the event loop."""
    size: int
    """Bytes that were decoded and not taken out."""
    is_whole: bool

    def take(self, data: bytes) -> int:
        """Decode the beginning of the data, and tell how many bytes of it belong to the body.

        Raises:
            RefusedError: it is not valid, or has too large or too many trailers.
        """

    def take_out(self) -> bytes:
        """Return what was decoded since the last call."""

    def close(self) -> None:
        """Take no more."""


def body_of(length: int, limits: Limits) -> Body:
    """Make the decoder of a body of so many bytes, or of a `CHUNKED` one."""
    return ChunkedBody(limits) if length == CHUNKED else SizedBody(length)


_SMALL_BYTES: Final = 4096


class _Pieces:
    """Keeps what was decoded in the pieces it came in: joining each with those before copies all again.

    Small ones are put together, since only their bytes are counted: a piece of two takes 56 with its object.
    """

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self._pieces: list[bytes | bytearray] = []
        self.size = 0

    def _keep(self, piece: bytes) -> None:
        self.size += len(piece)
        if not self._pieces or len(piece) >= _SMALL_BYTES:
            self._pieces.append(piece)
        elif isinstance(last := self._pieces[-1], bytearray):
            last += piece
        else:
            self._pieces.append(bytearray(piece))

    def take_out(self) -> bytes:
        """Return what was decoded since the last call."""
        pieces, self._pieces, self.size = self._pieces, [], 0
        return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Do nothing: there is no parser to let go of."""


class SizedBody(_Pieces):
    """A body with a Content-Length."""

    turn_bytes = 1024 * 1024  # more than one read; there is nothing to decode
    __slots__ = ("_left", "is_whole")

    def __init__(self, length: int) -> None:
        super().__init__()
        self._left = length
        self.is_whole = length == 0

    def take(self, data: bytes) -> int:
        """Keep the beginning of the data, up to the body's length, and tell how many bytes that is."""
        piece = data if len(data) <= self._left else data[: self._left]
        if piece:
            self._keep(piece)
        self._left -= len(piece)
        self.is_whole = self._left == 0
        return len(piece)


class ChunkedBody(_Pieces):
    """A chunked body, whose trailers are read and forgotten (RFC 9110, section 6.5.1)."""

    # Chunks of one byte, and empty lines in a chunk, each of which could be the body's end, are slow: of
    # 64 KiB those take the parser 1 ms and these 9 ms.
    turn_bytes = 8 * 1024
    __slots__ = (
        "_bare",
        "_chunks",
        "_limits",
        "_parser",
        "_trailer_bytes",
        "_trailers",
        "is_whole",
        "on_body",
    )

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self._limits = limits
        self.is_whole = False
        self._bare = self._trailers = self._trailer_bytes = 0
        self._chunks: list[bytes] = []
        # httptools calls this for every chunk, which may be of one byte: nothing of Python runs for it.
        self.on_body = self._chunks.append
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._parser.feed_data(_CHUNKED_HEAD)
        self._trailers = self._trailer_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a trailer; httptools calls this."""
        self._trailers += 1
        self._trailer_bytes += len(name) + len(value) + len(b": \r\n")

    def on_message_complete(self) -> None:
        """Note that the body is whole; httptools calls this."""
        self.is_whole = True

    def take(self, data: bytes) -> int:
        """Decode part by part.

        A part ends where the body may end, so that nothing of the next request reaches the parser: a body
        ends with an empty line, which may have begun in the data before.
        """
        start = 0
        while start < len(data) and not self.is_whole:
            end = _part_end(data, start)
            self._feed(data[start:end])
            start = end
        return start

    def close(self) -> None:
        """Let go of the parser, which refers to this object and would keep it until the next collection."""
        self._parser = None

    def _feed(self, part: bytes) -> None:
        try:
            if self._parser is not None:
                self._parser.feed_data(part)
        except httptools.HttpParserError:
            self.close()
            raise RefusedError("malformed-request") from None
        # Chunk extensions, zeros before a size, and an unfinished trailer are what no piece of body ends.
        self._bare = 0 if self._chunks else self._bare + len(part)
        if self._chunks:
            self._keep(b"".join(self._chunks))
            self._chunks.clear()
        if self.is_whole:
            self.close()
        if max(self._bare, self._trailer_bytes) > self._limits.header_bytes:
            raise RefusedError("header-too-large")
        if self._trailers > self._limits.header_count:
            raise RefusedError("too-many-headers")


def _part_end(data: bytes, start: int) -> int:
    line_end = data.find(b"\n", start, start + len(HEAD_END) - 1)
    if line_end >= 0:
        return line_end + 1
    head_end = data.find(HEAD_END, start)
    return head_end + len(HEAD_END) if head_end >= 0 else len(data)
