"""Reads request bodies in bounded memory: plain or gzip, whole or line by line."""

import zlib
from collections.abc import AsyncIterator, Callable, Iterator

from app.errors import BodyTooLarge, MalformedBody, Overloaded, UnsupportedMedia
from app.ingest.split import SPACE

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_INFLATE_STEP = 64 * 1024
# At its peak a body takes 3.3 times its bytes, measured: payloads, their block, what goes to the store.
BODY_COST = 4
LEAST_BYTES = 1 << 20


class ByteBudget:
    """Bytes of bodies held at once by all requests together; fewer where memory has less room."""

    def __init__(self, most: int, room: Callable[[], int | None]) -> None:
        self.most, self._room = most, room
        self.held = 0

    @property
    def limit(self) -> int:
        """Bytes that may be held now; little things are read however little room there is."""
        room = self._room()
        return self.most if room is None else min(self.most, max(LEAST_BYTES, room // BODY_COST))

    def take(self, amount: int) -> None:
        """Take bytes from the budget.

        Raises:
            Overloaded: too many are held.
        """
        self.check(amount)
        self.hold(amount)

    def hold(self, amount: int) -> None:
        """Take bytes that were checked."""
        self.held += amount

    def check(self, amount: int) -> None:
        """See whether so many bytes could be taken.

        Raises:
            Overloaded: too many are held.
        """
        limit = self.limit
        if self.held + amount > limit:
            raise Overloaded(f"bodies under way already hold {self.held} of {limit} bytes")

    def give_back(self, amount: int) -> None:
        """Return bytes to the budget."""
        self.held -= amount


class Inflater:
    """gzip (RFC 1952), member after member, with a bound on what comes out."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inflated = 0
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self._started = False

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """Inflate a part of the body, piece by piece of at most 64 KiB: a bomb is never held whole.

        Raises:
            MalformedBody: not gzip.
            BodyTooLarge: more comes out than allowed.
        """
        self._started = self._started or bool(chunk)
        while chunk:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP_WINDOW)
            try:
                piece = self._member.decompress(chunk, _INFLATE_STEP)
            except zlib.error as error:
                raise MalformedBody(f"the body is not gzip: {error}") from None
            self._inflated += len(piece)
            if self._inflated > self._limit:
                raise BodyTooLarge(f"the body inflates to more than {self._limit} bytes")
            chunk = self._member.unconsumed_tail or self._member.unused_data
            yield piece

    def finish(self) -> None:
        """Check that the last member was whole.

        Raises:
            MalformedBody: it is cut off.
        """
        if self._started and not self._member.eof:
            raise MalformedBody("the gzip body is cut off")


def inflater_for(coding: str, limit: int) -> Inflater | None:
    """The decoder for a Content-Encoding, None for identity.

    Raises:
        UnsupportedMedia: neither gzip nor identity.
    """
    match coding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return Inflater(limit)
        case other:
            raise UnsupportedMedia(f"Content-Encoding {other!r} is not supported: send gzip, or none")


async def pieces(stream: AsyncIterator[bytes], inflater: Inflater | None) -> AsyncIterator[bytes]:
    """The body's bytes as they arrive, inflated."""
    async for chunk in stream:
        if inflater is None:
            yield chunk
            continue
        for piece in inflater.decode(chunk):
            yield piece
    if inflater is not None:
        inflater.finish()


class LineSplitter:
    """Cuts a stream into lines; a line past the limit is dropped but for its length."""

    def __init__(self, max_line_bytes: int) -> None:
        self._limit = max_line_bytes
        self._rest = b""
        self._dropped = 0

    @property
    def pending_bytes(self) -> int:
        """Bytes held of a line that has not ended."""
        return len(self._rest)

    def feed(self, piece: bytes) -> list[bytes | int]:
        """The lines that end in this piece; of one too long, its length in bytes."""
        *ended, rest = piece.split(b"\n")
        lines = [line for part in ended if (line := self._end(part)) != b""]
        self._keep(rest)
        return lines

    def flush(self) -> list[bytes | int]:
        """The last line, should it not have ended."""
        line = self._end(b"")
        return [line] if line != b"" else []

    def _keep(self, part: bytes) -> None:
        if self._dropped or len(self._rest) + len(part) > self._limit:
            self._dropped += len(self._rest) + len(part)
            self._rest = b""
        else:
            self._rest += part

    def _end(self, part: bytes) -> bytes | int:
        self._keep(part)
        line: bytes | int = self._dropped or self._rest.strip(SPACE)
        self._rest, self._dropped = b"", 0
        return line
