"""Keeps the pieces of bytes that were put together last, for readers that are at the same place.

A thousand readers that tail get the same lines one after another, and to put 8 KiB of them together takes
100 µs where transactions were posted one by one. The first reader does so and the others take its piece:

    place (41, 7), all sources, NDJSON, 8 KiB at most    → lines of 41 … 53, which lead to place (54, 7)

What is put together while a partition cannot be read is not kept: it may lack what was accepted first.
"""

from typing import Final, NamedTuple

from app.consumers.stream_formats import Look
from app.store.positions import Positions

MOST_PIECES: Final = 16


class Request(NamedTuple):
    """The place a reader is at, and what it wants from there."""

    epoch: int
    """How often the cache knows that a ledger was set back, whose ordinals are then given anew."""
    place: Positions
    look: Look
    sources: frozenset[str] | None
    most_bytes: int


class Piece(NamedTuple):
    """Whole lines of a stream."""

    text: bytes
    place: Positions
    """The place behind them."""
    lines: int


class Pieces:
    """The last pieces, by what was asked for; they hold 768 KiB at most, as a piece has 48 KiB."""

    def __init__(self) -> None:
        self._pieces: dict[Request, Piece] = {}

    def find(self, request: Request) -> Piece | None:
        """Return the piece that another reader got for the same request."""
        return self._pieces.get(request)

    def put(self, request: Request, piece: Piece) -> None:
        """Keep a piece in the place of the one that was put first."""
        if len(self._pieces) >= MOST_PIECES:
            del self._pieces[next(iter(self._pieces))]
        self._pieces[request] = piece
