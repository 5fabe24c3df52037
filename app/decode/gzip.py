"""Inflates request bodies sent with `Content-Encoding: gzip`, in steps, so that a bomb is never held whole.

A body of 32 KB can inflate to 32 MiB, or hold 1,600 members or 2,900 blocks of nothing: what comes out, what
goes in at once, and the number of members are bounded.
"""

import zlib
from collections.abc import Callable, Iterator

from app.decode.event_loop_turns import pieces_of
from app.errors import BodyTooLarge, MalformedBody, UnsupportedMedia

PIECE_BYTES = 64 * 1024
MAX_MEMBERS = 10_000
_SHOWN = 16
_WINDOW = 16 + zlib.MAX_WBITS
# zlib copies what follows a member, so that a body of empty ones (20 bytes each) is better not shown whole.
DEFLATED_STEP = 16 * 1024
# A byte that goes in is as much work as so many that come out. A block of 11 bytes may have codes of its own
# and no data: 16 KiB of such blocks take 2 ms, and nothing comes out.
DEFLATED_COST = 4


class Inflater:
    """Inflates gzip (RFC 1952), member after member, with bounds on what comes out and on their number."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inflated = 0
        # None before the first byte and after the last: a thousand slow bodies would hold 40 MiB of them.
        self._member: zlib._Decompress | None = None
        self._members = 0

    def decode(self, chunk: bytes, count: Callable[[int], None] = lambda _: None) -> Iterator[bytes]:
        """Inflate a part of the body, in steps that yield at most 64 KiB: a bomb is never held whole.

        `count` is told how much work it is to read what goes in, in bytes that come out.

        Raises:
            MalformedBody: not gzip.
            BodyTooLarge: more comes out than allowed, or it has too many members.
        """
        for part in pieces_of(chunk, DEFLATED_STEP):
            count(DEFLATED_COST * len(part))
            rest = part
            while rest:
                member = self._member
                if member is None or member.eof:
                    member = self._begin_member()
                yield self._step(member, rest)
                rest = member.unconsumed_tail or member.unused_data

    def finish(self) -> None:
        """Check that the last member was whole, and let go of it.

        Raises:
            MalformedBody: it is cut off.
        """
        member, self._member = self._member, None
        if member is not None and not member.eof:
            raise MalformedBody("the gzip body is cut off")

    def _begin_member(self) -> "zlib._Decompress":
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise BodyTooLarge(f"the gzip body has more than {MAX_MEMBERS} members: compress more at once")
        member = self._member = zlib.decompressobj(_WINDOW)
        return member

    def _step(self, member: "zlib._Decompress", deflated: bytes) -> bytes:
        try:
            piece = member.decompress(deflated, PIECE_BYTES)
        except zlib.error as error:
            raise MalformedBody(f"the body is not gzip: {error}") from None
        self._inflated += len(piece)
        if self._inflated > self._limit:
            raise BodyTooLarge(f"the body inflates to more than {self._limit} bytes")
        return piece


def inflater_for(coding: str, limit: int) -> Inflater | None:
    """Return the decoder for a Content-Encoding, None for identity; `limit` bounds what comes out, in bytes.

    Raises:
        UnsupportedMedia: neither gzip nor identity.
    """
    match coding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return Inflater(limit)
        case other:
            # It is told to the operator, also of somebody who is not known.
            raise UnsupportedMedia(
                f"Content-Encoding {other[:_SHOWN]!r} is not supported: send gzip, or none"
            )
