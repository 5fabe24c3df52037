"""Collects the bytes of one body, most of them outside of the heap, and joins them when it is whole."""

from collections import deque
from collections.abc import Sequence
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

from app.decode.array_scanner import BYTE_ORDER_MARK, SPACE
from app.decode.event_loop_turns import LONG_BYTES, Pacer
from app.decode.gzip import PIECE_BYTES

_JOINED_AT_ONCE_BYTES = 512 * 1024
_SMALL_BYTES = 4096


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
            await pace.turn()
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
