"""Reads request bodies in bounded memory and in small steps: plain or gzip, whole or line by line."""

import zlib
from collections import deque
from collections.abc import Callable, Iterator
from mmap import mmap

from app.decode.array_scanner import SPACE
from app.decode.turns import next_turn
from app.errors import BodyTooLarge, MalformedBody, Overloaded, UnsupportedMedia

PIECE_BYTES = 64 * 1024
# RFC 8259 section 8.1 lets a reader ignore it; some editors and Windows programs put it before everything.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_MEMBERS = 10_000
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
# zlib copies what follows a member, so that a body of empty ones (20 bytes each) is better not shown whole.
_DEFLATED_STEP = 16 * 1024
# Others are served after so much work; a step costs as much as so many bytes, however few it yields.
PACE_BYTES = 256 * 1024
_STEP_COST = 1024
_JOINED_AT_ONCE_BYTES = 512 * 1024
_SMALL_BYTES = 4096
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

    def release(self, amount: int) -> None:
        """Return bytes to the budget."""
        self.held -= amount


class Pacer:
    """Lets others be served after every 256 KiB of work."""

    def __init__(self) -> None:
        self._spent = 0

    async def spend(self, amount: int) -> None:
        """Note a step that looked at so many bytes."""
        self._spent += amount + _STEP_COST
        if self._spent > PACE_BYTES:
            self._spent = 0
            await next_turn()


class Inflater:
    """gzip (RFC 1952), member after member, with bounds on what comes out and on the number of members."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inflated = 0
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self._members = 1
        self._started = False

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """Inflate a part of the body, in steps that yield at most 64 KiB: a bomb is never held whole.

        Raises:
            MalformedBody: not gzip.
            BodyTooLarge: more comes out than allowed, or it has too many members.
        """
        self._started = self._started or bool(chunk)
        for part in _cut(chunk, _DEFLATED_STEP):
            rest = part
            while rest:
                if self._member.eof:
                    self._begin_member()
                yield self._step(rest)
                rest = self._member.unconsumed_tail or self._member.unused_data

    def finish(self) -> None:
        """Check that the last member was whole.

        Raises:
            MalformedBody: it is cut off.
        """
        if self._started and not self._member.eof:
            raise MalformedBody("the gzip body is cut off")

    def _begin_member(self) -> None:
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise BodyTooLarge(f"the gzip body has more than {MAX_MEMBERS} members: compress more at once")
        self._member = zlib.decompressobj(_GZIP_WINDOW)

    def _step(self, deflated: bytes) -> bytes:
        try:
            piece = self._member.decompress(deflated, PIECE_BYTES)
        except zlib.error as error:
            raise MalformedBody(f"the body is not gzip: {error}") from None
        self._inflated += len(piece)
        if self._inflated > self._limit:
            raise BodyTooLarge(f"the body inflates to more than {self._limit} bytes")
        return piece


def steps(chunk: bytes, inflater: Inflater | None) -> Iterator[bytes]:
    """The bytes of a part of the body in pieces of at most 64 KiB, inflated; a step may yield none."""
    return _cut(chunk, PIECE_BYTES) if inflater is None else inflater.decode(chunk)


def _cut(chunk: bytes, size: int) -> Iterator[bytes]:
    if len(chunk) <= size:
        yield chunk
        return
    for at in range(0, len(chunk), size):
        yield chunk[at : at + size]


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


class BodyBuffer:
    """The pieces of a body; small ones are put together, so that they take no more than their bytes."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._small = bytearray()

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
            self._pieces.append(piece)

    @property
    def number(self) -> int:
        """How many pieces are held."""
        return len(self._pieces)

    async def whole(self, pace: Pacer) -> bytes | mmap:
        """The body without a byte order mark and white space around it; the pieces are gone then."""
        self._end_small()
        pieces = self._pieces
        if pieces:
            pieces[0] = pieces[0].removeprefix(BYTE_ORDER_MARK)
        while pieces and not (first := pieces[0].lstrip(SPACE)):
            await pace.spend(len(pieces.popleft()))
        if not pieces:
            return b""
        pieces[0] = first
        while not (last := pieces[-1].rstrip(SPACE)):
            await pace.spend(len(pieces.pop()))
        pieces[-1] = last
        return await self._joined(pace)

    def _end_small(self) -> None:
        if self._small:
            self._pieces.append(bytes(self._small))
            self._small.clear()

    async def _joined(self, pace: Pacer) -> bytes | mmap:
        length = sum(map(len, self._pieces))
        if length <= _JOINED_AT_ONCE_BYTES:
            return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        # New memory costs a page fault for every 4 KiB when it is written to first: 20 ms for 32 MiB.
        whole, at = mmap(-1, length), 0
        while self._pieces:
            piece = self._pieces.popleft()
            whole[at : at + len(piece)] = piece
            at += len(piece)
            await pace.spend(len(piece))
        return whole


class LineSplitter:
    """Cuts a stream into lines without white space around them; of one past the limit stays its length."""

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
        """Bytes held of a line that has not ended."""
        return len(self._rest)

    def feed(self, piece: bytes) -> list[bytes | int]:
        """The lines that end in this piece, but for blank ones; of one too long, its length in bytes."""
        if self._mark is not None:
            piece = self._without_mark(piece)
        if not piece.strip(SPACE):  # 32 MiB of blank lines fit into 32 KB of gzip
            piece = b"\n" if b"\n" in piece else piece
        while b"\n\n" in piece:
            piece = piece.replace(b"\n\n", b"\n")
        first, *others = piece.split(b"\n")
        if not others:
            self._keep(first)
            return []
        rest = others.pop()
        ended = (self._end(first), *(part.strip(SPACE) for part in others))
        self._keep(rest)
        return [line if isinstance(line, int) else self._bounded(line) for line in ended if line]

    def flush(self) -> list[bytes | int]:
        """The last line, should it not have ended."""
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
