"""Reads the body of a request, for every address that takes one: whole or line by line, in bounded memory.

A body comes in chunks of the size the client and the network chose. Each is inflated if it was compressed,
and cut into pieces of at most 64 KiB. Every piece counts against the budget of all bodies before it is kept,
so that 100 clients with 8 MiB each are refused and do not fill the memory; after 256 KiB others are served.
"""

import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from typing import Self

from starlette.types import Message, Receive

from app.decode.array_scanner import BYTE_ORDER_MARK, SPACE
from app.decode.body_budget import Arriving, ByteBudget, UnverifiedPart, most_inflated, most_unverified
from app.decode.client_gone import ClientGone
from app.decode.event_loop_turns import LONG_BYTES, Pacer, next_turn, pieces_of
from app.decode.gzip import PIECE_BYTES, Inflater, inflater_for
from app.decode.ndjson_lines import LineSplitter
from app.errors import BodyTooLarge, UnsupportedMedia

_JOINED_AT_ONCE_BYTES = 512 * 1024
_SMALL_BYTES = 4096
# So many lines are handed on without others being served between.
LINES_AT_ONCE = 500
LINE_BYTES_AT_ONCE = 256 * 1024

Headers = Mapping[bytes, bytes]
"""The headers of a request by their names in lower case."""
Verify = Callable[[Sequence[bytes | mmap]], Awaitable[None]]
"""Looks at the very bytes of a body, in pieces, and raises unless they are what the client has signed."""


def declared_length(headers: Headers) -> int:
    """Return the length in bytes of the body that the client declares, 0 when it declares none."""
    length = headers.get(b"content-length", b"")
    return int(length) if length.isdigit() else 0


@lru_cache(256)
def media_type(content_type: bytes) -> str:
    """Return the media type of a Content-Type, in lower case.

    Raises:
        UnsupportedMedia: its charset is not UTF-8.
    """
    media, _, parameters = content_type.decode("latin-1").lower().partition(";")
    charset = re.search(r'charset="?([^";\s]+)', parameters)
    if charset and charset[1] not in ("utf-8", "utf8"):
        raise UnsupportedMedia(f"charset {charset[1]!r}: JSON is UTF-8 (RFC 8259)")
    return media.strip()


def body_too_large(length: int, limit: int) -> BodyTooLarge:
    """Return the error for a body whose length is known to be above the limit."""
    return BodyTooLarge(f"the body has {length} bytes, {limit} are allowed: split it, or send NDJSON")


def chunk_of(message: Message) -> tuple[bytes, bool]:
    """Return the next bytes of a body, and whether there are more; raises ClientGone in place of them."""
    if message["type"] == "http.disconnect":
        raise ClientGone(message.get("tidegate.problem"))
    return message.get("body", b""), message.get("more_body", False)


class BodyReader:
    """The body of one request, to be read once within `async with`.

    What is held of it counts against the budget until the end. Both ways of reading raise

        UnsupportedMedia: it is coded otherwise than with gzip.
        MalformedBody: it is not gzip, is cut off, or the client went away.
        BodyTooLarge: it is longer than allowed, sent or inflated.
        Overloaded: the budget is used up.
    """

    def __init__(
        self, headers: Headers, receive: Receive, arriving: Arriving, most_bytes: int, most_inflated: int
    ) -> None:
        self._headers, self._receive = headers, receive
        self._arriving, self._budget = arriving, arriving.whole
        self._room: Arriving | ByteBudget | UnverifiedPart = arriving
        self._most_bytes, self._most_inflated = most_bytes, most_inflated
        self._pacer = Pacer()
        self._held = 0

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Release what is held."""
        self._hold(0)
        self._arriving.end()

    async def whole(self) -> bytes | mmap:
        """Return the body without a byte order mark and white space around it."""
        collected = await self._collected(self._inflater())
        self._arriving.end()
        return await collected.whole(self._pacer)

    async def verified(self, verify: Verify, *, over_inflated: bool) -> bytes | mmap:
        """Return the body as `whole` does, once `verify` has let pass its very bytes.

        These are the bytes that were sent, of which nothing is inflated before, or with `over_inflated` those
        that come out of gzip. `verify` raises what it does not let pass; till then the body may be no longer
        than all bodies together that are not verified.
        """
        unverified, room = self._budget.unverified, self._budget.most
        self._room, self._most_bytes = unverified, most_unverified(self._most_bytes, room)
        inflater = self._inflater(most_unverified(self._most_inflated, room))
        with unverified.place():
            collected = await self._collected(inflater if over_inflated else None)
            await verify(collected.pieces)
        unverified.hand_over(self._held)
        self._room = self._budget
        if inflater is not None and not over_inflated:
            collected = await self._inflated(collected.pieces)
        return await collected.whole(self._pacer)

    async def _inflated(self, sent: Sequence[bytes | mmap]) -> "BodyBuffer":
        """Inflate what is held, which is held meanwhile: both together have to have room in the budget."""
        held, buffer = self._held, BodyBuffer()
        inflater = self._inflater(most_inflated(self._most_inflated, self._budget.most, held))
        for piece in sent:
            await self._fill(buffer, piece[:], inflater)
        if inflater is not None:
            inflater.finish()
        self._hold(self._held - held)
        return buffer

    async def _collected(self, inflater: Inflater | None) -> "BodyBuffer":
        """Take all of the body as it comes, within the limits."""
        length = declared_length(self._headers)
        if length > self._most_bytes:
            raise body_too_large(length, self._most_bytes)
        self._room.check(length)
        buffer, sent = BodyBuffer(), 0
        async for chunk in self._chunks():
            sent += len(chunk)
            if sent > self._most_bytes:
                raise BodyTooLarge(
                    f"the body has more than {self._most_bytes} bytes: split it, or send NDJSON"
                )
            await self._fill(buffer, chunk, inflater)
        if inflater is not None:
            inflater.finish()
        return buffer

    async def _fill(self, buffer: "BodyBuffer", chunk: bytes, inflater: Inflater | None) -> None:
        for piece in self._pieces(chunk, inflater):
            buffer.add(piece)
            await self._pacer.spend(len(piece))

    async def lines(self, max_line_bytes: int) -> AsyncIterator[list[bytes | int]]:
        """Yield the lines that have come, some at a time; never wait for more than has come.

        They have no white space around them and none is blank; of one too long there is its length. There is
        no limit on the bytes sent. Lines that came before an error were whole.
        """
        splitter, inflater = LineSplitter(max_line_bytes), self._inflater()
        async for chunk in self._chunks():
            async for lines in self._lines_of(chunk, inflater, splitter):
                yield lines
        if inflater is not None:
            inflater.finish()
        if lines := splitter.flush():
            yield lines

    async def _lines_of(
        self, chunk: bytes, inflater: Inflater | None, splitter: LineSplitter
    ) -> AsyncIterator[list[bytes | int]]:
        """Yield the lines that end in a chunk, so many at a time that others are served between."""
        lines = list[bytes | int]()
        for piece in self._pieces(chunk, inflater):
            ended = splitter.feed(piece)
            for start in range(0, len(ended), LINES_AT_ONCE):
                lines += ended[start : start + LINES_AT_ONCE]
                # What is held counts, not what is left: of a line of 1 KB and 30 KB of spaces it is 31 KB.
                if len(lines) >= LINES_AT_ONCE or self._held >= LINE_BYTES_AT_ONCE:
                    await next_turn()
                    yield lines
                    lines = []
            if not lines:
                # Whoever asked is done with them: a part of 64 KiB may inflate to 32 MiB of lines.
                self._hold(splitter.pending_bytes)
            await self._pacer.spend(len(piece))
        if lines:
            await next_turn()
            yield lines
            self._hold(splitter.pending_bytes)

    def _inflater(self, most: int | None = None) -> Inflater | None:
        if (coding := self._headers.get(b"content-encoding")) is None:
            return None
        return inflater_for(coding.decode("latin-1"), self._most_inflated if most is None else most)

    async def _chunks(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            chunk, more = chunk_of(await self._receive())
            yield chunk

    def _pieces(self, chunk: bytes, inflater: Inflater | None) -> Iterator[bytes]:
        """Take a chunk in pieces of at most 64 KiB, inflated, from the budget; a piece may be empty."""
        pieces = pieces_of(chunk, PIECE_BYTES)
        for piece in pieces if inflater is None else inflater.decode(chunk, self._pacer.count):
            self._room.take(len(piece))
            self._held += len(piece)
            yield piece

    def _hold(self, amount: int) -> None:
        self._room.release(self._held - amount)
        self._held = amount


class BodyBuffer:
    """Holds the pieces of a body, small ones put together, so that they take no more than their bytes.

    After the first 512 KiB each piece is mapped by itself: in the heap, 64 MiB of pieces that are freed stay
    resident under whatever small object was put on top of them meanwhile.
    """

    def __init__(self) -> None:
        self._pieces: deque[bytes | mmap] = deque()
        self._small = bytearray()
        self._kept = 0

    def add(self, piece: bytes) -> None:
        """Take the next piece."""
        # While nothing else is held, the first bytes may be a part of a byte order mark.
        has_part_of_a_mark = not self._pieces and 0 < len(self._small) < len(BYTE_ORDER_MARK)
        if len(piece) < _SMALL_BYTES or has_part_of_a_mark:
            self._small += piece
            if len(self._small) < PIECE_BYTES:
                return
            piece = b""
        self._end_small()
        if piece:
            self._keep(piece)

    async def whole(self, pace: Pacer) -> bytes | mmap:
        """Return the body without a byte order mark and white space around it, a long one in its own turn."""
        self._end_small()
        pieces = self._pieces
        if pieces:
            pieces[0] = pieces[0][:].removeprefix(BYTE_ORDER_MARK)
        while pieces and not (first := pieces[0][:].lstrip(SPACE)):
            await pace.spend(len(pieces.popleft()))
        if not pieces:
            return b""
        pieces[0] = first
        while not (last := pieces[-1][:].rstrip(SPACE)):
            await pace.spend(len(pieces.pop()))
        pieces[-1] = last
        return await self._joined(pace)

    @property
    def pieces(self) -> Sequence[bytes | mmap]:
        """Return the pieces with every byte of the body."""
        self._end_small()
        return tuple(self._pieces)

    def _end_small(self) -> None:
        if self._small:
            self._keep(bytes(self._small))
            self._small.clear()

    def _keep(self, piece: bytes) -> None:
        self._kept += len(piece)
        if self._kept <= _JOINED_AT_ONCE_BYTES:
            self._pieces.append(piece)
            return
        mapped = _memory(len(piece))
        mapped[:] = piece
        self._pieces.append(mapped)

    async def _joined(self, pace: Pacer) -> bytes | mmap:
        length = sum(map(len, self._pieces))
        if length > LONG_BYTES:
            await next_turn()
        if length <= _JOINED_AT_ONCE_BYTES:
            return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        # New memory costs a page fault for every 4 KiB when it is written to first: 20 ms for 32 MiB.
        whole, at = _memory(length), 0
        while self._pieces:
            piece = self._pieces.popleft()
            whole[at : at + len(piece)] = piece
            at += len(piece)
            await pace.spend(len(piece))
        return whole


def _memory(length: int) -> mmap:
    """Return so many bytes of memory of their own, which go back to the system when they are freed."""
    return mmap(-1, length, flags=MAP_PRIVATE | MAP_ANONYMOUS)
