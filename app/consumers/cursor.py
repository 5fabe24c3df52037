"""Cursors: where a reader is in what the store has accepted, as a text that every gate of it understands.

    8d3f0a61-019d2b6a3f4-00000000002a
    store    accepted    the ordinal of the next transaction to read, one for each partition

A reader on a Cluster has a place in each of six partitions, so that there are six ordinals, joined by
nothing. The first part tells stores apart: it is made of the moments at which the ledgers of all partitions
were begun, and a ledger that was lost begins anew. All figures are hexadecimal and of a fixed width, so of
two cursors of one store with one partition the greater is the later.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

from app.consumer_errors import UnknownCursor
from app.errors import InvalidRequest

_CURSOR = re.compile(r"([0-9a-f]{8})-([0-9a-f]{11})-((?:[0-9a-f]{12}){1,64})\Z")
_ORDINAL_DIGITS = 12
_SHOWN_CHARACTERS = 64


class Cursor(NamedTuple):
    """A cursor, taken apart."""

    store: int
    """Tells the store, as `store_mark` does."""
    accepted_ms: int
    """When the last transaction before it was accepted, milliseconds since the epoch."""
    ordinals: tuple[int, ...]
    """The ordinal of the next transaction to read, in each partition."""

    @property
    def text(self) -> bytes:
        """The cursor as clients see it."""
        return b"".join(cursor_parts(self.store, self.accepted_ms, self.ordinals))

    def check(self, born_ms: Sequence[int], added: Sequence[int]) -> None:
        """Check that it is one of the store with these ledgers, which have accepted so many.

        Raises:
            UnknownCursor: it is of another store, or from the future of this one.
        """
        if self.store != store_mark(born_ms) or len(self.ordinals) != len(added):
            raise UnknownCursor(
                "the cursor is of another store, or its store has lost its data since: begin with from=oldest"
            )
        if any(ordinal > known for ordinal, known in zip(self.ordinals, added, strict=True)):
            raise UnknownCursor(
                "the cursor is behind all that the store has ever accepted: begin with from=oldest"
            )


def store_mark(born_ms: Sequence[int]) -> int:
    """Return what tells stores apart, by the moments at which the ledgers of the partitions were begun."""
    return crc32(b"".join(moment.to_bytes(8) for moment in born_ms))


def cursor_parts(store: int, accepted_ms: int, ordinals: Sequence[int]) -> list[bytes]:
    """Return the text of a cursor in pieces: what comes before the ordinals, and each of these."""
    return [b"%08x-%011x-" % (store, accepted_ms), *(b"%012x" % ordinal for ordinal in ordinals)]


def parse_cursor(text: str, name: str) -> Cursor:
    """Take a cursor apart, which the request gave under this name.

    Raises:
        InvalidRequest: it is none.
    """
    found = _CURSOR.match(text)
    if found is None:
        shown = ascii(text[:_SHOWN_CHARACTERS])[1:-1]
        raise InvalidRequest(f"{name}: {shown!r} is no cursor; send one as a line had it")
    digits = found[3]
    ordinals = (digits[at : at + _ORDINAL_DIGITS] for at in range(0, len(digits), _ORDINAL_DIGITS))
    return Cursor(int(found[1], 16), int(found[2], 16), tuple(int(ordinal, 16) for ordinal in ordinals))
