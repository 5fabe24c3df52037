"""Cursors: where a reader is in what the store has accepted, as a text that every gate of it understands.

    8d3f0a61-019d2b6a3f4-00000000002a
    store    │           the ordinal of the next transaction to read, one for each partition
             when the transaction before it was accepted, one for each partition

A reader on a Cluster has a place in each partition, so that there are 16 of both, say, joined by
nothing. The first part tells stores apart: it is made of the moments at which the ledgers of all partitions
were begun, and a ledger that was lost begins anew. The moments tell whether a ledger was set back by a
failover since, so that an ordinal is that of another transaction now. All figures are hexadecimal and of a
fixed width, so of two cursors of one store with one partition the greater is the later.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

from app.consumer_errors import UnknownCursor
from app.errors import InvalidRequest
from app.store.positions import Positions

_CURSOR = re.compile(r"([0-9a-f]{8})-((?:[0-9a-f]{11}){1,128})-((?:[0-9a-f]{12}){1,128})\Z")
_MOMENT_DIGITS, _ORDINAL_DIGITS = 11, 12
_SHOWN_CHARACTERS = 64


class Cursor(NamedTuple):
    """A cursor, taken apart."""

    store: int
    """Tells the store, as `store_mark` does."""
    before_ms: tuple[int, ...]
    """When the last transaction before it was accepted, in each partition; 0 where nobody knows."""
    ordinals: tuple[int, ...]
    """The ordinal of the next transaction to read, in each partition."""

    @property
    def text(self) -> bytes:
        """The cursor as clients see it."""
        return b"".join(cursor_parts(self.store, self.before_ms, self.ordinals))

    def place(self, newest: Positions) -> Positions:
        """Return the cursor's place in the store that has accepted everything before `newest`.

        Raises:
            UnknownCursor: it is of another store, or of transactions that this one does not have.
        """
        if self.store != store_mark(newest.born_ms) or len(self.ordinals) != len(newest.ordinals):
            raise UnknownCursor(
                "the cursor is of another store, or its store has lost its data since: begin with from=oldest"
            )
        ends = zip(self.ordinals, self.before_ms, newest.ordinals, newest.before_ms, strict=True)
        if any(
            ordinal > added or before_ms > added_ms or (ordinal == added and 0 != before_ms != added_ms)
            for ordinal, before_ms, added, added_ms in ends
        ):
            raise UnknownCursor(
                "the cursor is behind all that the store has ever accepted, or has still after a failover: "
                "begin with from=oldest"
            )
        return Positions(newest.born_ms, self.ordinals, self.before_ms)


def store_mark(born_ms: Sequence[int]) -> int:
    """Return what tells stores apart, by the moments at which the ledgers of the partitions were begun."""
    return crc32(b"".join(moment.to_bytes(8) for moment in born_ms))


def cursor_parts(store: int, before_ms: Sequence[int], ordinals: Sequence[int]) -> list[bytes]:
    """Return the text of a cursor in pieces: what comes before the ordinals, and each of these."""
    moments = b"".join([b"%011x" % moment for moment in before_ms])
    return [b"%08x-%b-" % (store, moments), *(b"%012x" % ordinal for ordinal in ordinals)]


def parse_cursor(text: str, name: str) -> Cursor:
    """Take a cursor apart, which the request gave under this name.

    Raises:
        InvalidRequest: it is none.
    """
    found = _CURSOR.match(text)
    before_ms = _numbers(found[2], _MOMENT_DIGITS) if found else ()
    ordinals = _numbers(found[3], _ORDINAL_DIGITS) if found else ()
    if found is None or len(before_ms) != len(ordinals):
        shown = ascii(text[:_SHOWN_CHARACTERS])[1:-1]
        raise InvalidRequest(f"{name}: {shown!r} is no cursor; send one as a line had it")
    return Cursor(int(found[1], 16), before_ms, ordinals)


def _numbers(digits: str, width: int) -> tuple[int, ...]:
    return tuple(int(digits[at : at + width], 16) for at in range(0, len(digits), width))
