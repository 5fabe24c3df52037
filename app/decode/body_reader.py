"""Reads the body of a request, for every address that takes one: whole or line by line, in bounded memory.

A body comes in chunks of the size the client and the network chose. Each is inflated if it was compressed,
and cut into pieces of at most 64 KiB. Every piece counts against the budget of all bodies before it is kept,
so that 100 clients with 8 MiB each are refused and do not fill the memory; after 256 KiB others are served.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from mmap import mmap
from typing import Self

from starlette.types import Message, Receive

from app.decode.body_budget import (
    INFLATER_BYTES,
    Arriving,
    ByteBudget,
    UnverifiedPart,
    most_inflated,
    most_unverified,
)
from app.decode.body_buffer import BodyBuffer
from app.decode.client_gone import ClientGone, Left, check_client
from app.decode.event_loop_turns import Pacer, pieces_of
from app.decode.gzip import PIECE_BYTES, Inflater, inflater_for
from app.decode.ndjson_lines import LineSplitter, parts_of_lines
from app.errors import BodyTooLarge, UnsupportedMedia

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

    What is held of it counts against the budget until the end, and so does what inflates it, from the first
    byte to the last. Both ways of reading raise

        UnsupportedMedia: it is coded otherwise than with gzip.
        MalformedBody: it is not gzip, is cut off, or the client went away.
        BodyTooLarge: it is longer than allowed, sent or inflated.
        Overloaded: the budget is used up.
        GivenUp: the client went away while it waited for its turn.
    """

    def __init__(  # noqa: PLR0913, PLR0917  a body has two lengths
        self,
        headers: Headers,
        receive: Receive,
        arriving: Arriving,
        most_bytes: int,
        most_inflated: int,
        left: Left | None = None,
    ) -> None:
        self._headers, self._receive = headers, receive
        self._arriving, self._budget = arriving, arriving.whole
        self._room: Arriving | ByteBudget | UnverifiedPart = arriving
        self._most_bytes, self._most_inflated = most_bytes, most_inflated
        self._pacer = Pacer() if left is None else Pacer(partial(check_client, left))
        self.turn = self._pacer.turn
        self._held = self._kept = self._inflater_bytes = 0

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Release what is held."""
        self._hold(0)
        self._budget.release(self._kept)
        if self._inflater_bytes:
            self._release_inflater()
        self._arriving.end()

    def keep(self, size: int) -> None:
        """Count bytes that are made of the body, to the end of the block; a size below 0 lets some go.

        Raises:
            Overloaded: the budget is used up.
        """
        if size > 0:
            self._budget.check(size)
        self._budget.hold(size)
        self._kept += size

    async def whole(self) -> bytes | mmap:
        """Return the body without a byte order mark and white space around it."""
        collected = await self._collected(self._inflater(self._budget.most))
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
        inflater = self._inflater(most_unverified(room, room))
        with unverified.place():
            collected = await self._collected(inflater if over_inflated else None)
            await verify(collected.pieces)
        unverified.hand_over(self._held)
        self._room = self._budget
        if inflater is not None and not over_inflated:
            collected = await self._inflated(collected.pieces)
        return await collected.whole(self._pacer)

    async def _inflated(self, sent: Sequence[bytes | mmap]) -> BodyBuffer:
        """Inflate what is held, which is held meanwhile: both together have to have room in the budget."""
        held, buffer = self._held, BodyBuffer()
        inflater = self._inflater(self._budget.most - held)
        for piece in sent:
            await self._fill(buffer, piece[:], inflater)
        if inflater is not None:
            self._finish(inflater)
        self._hold(self._held - held)
        return buffer

    async def _collected(self, inflater: Inflater | None) -> BodyBuffer:
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
            del chunk  # or it would be held beside the buffer while more is waited for
        if inflater is not None:
            self._finish(inflater)
        return buffer

    async def _fill(self, buffer: BodyBuffer, chunk: bytes, inflater: Inflater | None) -> None:
        for piece in self._pieces(chunk, inflater):
            buffer.add(piece)
            await self._pacer.spend(len(piece))

    async def lines(self, max_line_bytes: int) -> AsyncIterator[list[bytes | int]]:
        """Yield the lines that have come, those of one turn at a time; never wait for more than has come.

        They have no white space around them and none is blank; of one too long there is its length. There is
        no limit on the bytes sent. Lines that came before an error were whole.

        What waits for its turn waits as it came. Of a thousand clients that each have sent 64 KiB, the lines
        of one are cut, and not those of all: cut, 64 KiB of `12` and line ends take 1.2 MB.
        """
        splitter, inflater = LineSplitter(max_line_bytes), self._inflater(None)
        async for chunk in self._chunks():
            for piece in self._pieces(chunk, inflater):
                for part in parts_of_lines(piece):
                    if b"\n" in part:
                        await self.turn()
                    if lines := splitter.feed(part):
                        yield lines
                    del lines, part  # or they would be held while the next ones are waited for
                # Whoever asked is done with them: a part of 64 KiB may inflate to 32 MiB of lines.
                self._hold(splitter.pending_bytes)
                await self._pacer.spend(len(piece))
                del piece
            del chunk
        if inflater is not None:
            self._finish(inflater)
        if lines := splitter.flush():
            yield lines

    def _inflater(self, room: int | None) -> Inflater | None:
        """Return what inflates the body, all of which has to have room in so many bytes, unless None."""
        if (coding := self._headers.get(b"content-encoding")) is None:
            return None
        most = self._most_inflated
        return inflater_for(coding.decode("latin-1"), most if room is None else most_inflated(most, room))

    def _finish(self, inflater: Inflater) -> None:
        inflater.finish()
        self._release_inflater()

    def _release_inflater(self) -> None:
        self._room.release(self._inflater_bytes)
        self._inflater_bytes = 0

    async def _chunks(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            chunk, more = chunk_of(await self._receive())
            yield chunk
            del chunk

    def _pieces(self, chunk: bytes, inflater: Inflater | None) -> Iterator[bytes]:
        """Take a chunk in pieces of at most 64 KiB, inflated, from the budget; a piece may be empty."""
        if inflater is not None and chunk and not self._inflater_bytes:
            self._room.take(INFLATER_BYTES)
            self._inflater_bytes = INFLATER_BYTES
        pieces = pieces_of(chunk, PIECE_BYTES)
        for piece in pieces if inflater is None else inflater.decode(chunk, self._pacer.count):
            self._room.take(len(piece))
            self._held += len(piece)
            yield piece

    def _hold(self, amount: int) -> None:
        self._room.release(self._held - amount)
        self._held = amount
