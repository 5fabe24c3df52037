"""One reader of the stream: where it is, what it wants, and the next piece of bytes for it.

A reader goes through the blocks of all partitions, that with the earliest acceptance first. What it needs is
in the cache, or is read from the store, where a reader that lags or begins in the past goes its own way until
it has come to the end and waits with the others (tail.py). Between two pieces it holds nothing but its place:
the ordinal of the next transaction in each partition, and how many bytes of a line that is longer than a
piece were sent.

    place (41, 7): the cache has 41 … 45 of the first partition, accepted at 09:00:00.120, and of the other
    7 … 9, accepted at 09:00:00.125: the reader gets 41 … 45, as far as they fit, then 7 … 9

Where transactions have left before the reader came to them, it is told how many, and goes on behind them.
"""

import time
from collections.abc import Sequence

from app.consumers.block_cache import Ledger, Page
from app.consumers.cursor import Cursor, store_mark
from app.consumers.known_ends import KnownEnds
from app.consumers.readers import Readers
from app.consumers.shared_pieces import Piece, Request
from app.consumers.stream_formats import Gap, Lines, Place, Wanted, heartbeat, joined
from app.consumers.waiter import Waiter
from app.errors import HttpError
from app.store.positions import Positions
from app.store.read_accepted import Extract, PartitionsChangedError

HEARTBEAT_SECONDS = 15.0
# Between two heartbeats to a client that has ended its side: the first brings the answer that it has gone.
DOUBT_SECONDS = 1.0
# Of lines that are rendered anew for one piece, others are served after so many bytes.
_RENDERED_BYTES = 128 * 1024
RETRY_SECONDS = 0.1


class LineLostError(Exception):
    """A transaction left in the middle of its line, which is longer than a piece."""


class StreamReader:
    """One reader, from a place on."""

    def __init__(
        self, readers: Readers, wanted: Wanted, start: Positions, start_ms: int, newest: Positions | None
    ) -> None:
        """Begin at a place, that of the moment `start_ms` if some have left since.

        `newest` is where its ledgers ended then, None if they are others by now.
        """
        self._readers, self._wanted = readers, wanted
        self._left = wanted.limit
        self._waiter = Waiter()
        self._is_over = False
        self._stand_at(start, newest or start)
        self._sent = 0  # bytes of the next line
        self._partition = 0  # of the next line, if some of it was sent
        self._gap = b""
        if start.has_left:
            self._tell([Gap(None, start_ms, max(start_ms, *start.before_ms))])
        # What the tail knew of the ledgers, and the cache of setbacks, when the store was asked last.
        self._known_born_ms, self._epoch = readers.tail.born_ms, readers.cache.epoch
        self._fresh: dict[int, Sequence[Page]] = {}  # what was just read, of each partition
        self._due = time.monotonic() + HEARTBEAT_SECONDS  # of the next heartbeat
        self._is_doubted = False

    def _stand_at(self, place: Positions, newest: Positions) -> None:
        self._at, self._before_ms = list(place.ordinals), list(place.before_ms)
        self._born_ms, self._store = place.born_ms, store_mark(place.born_ms)
        self._ends = KnownEnds(newest.ordinals, self._readers.tail.news)

    async def next_piece(self, most_bytes: int) -> bytes | None:
        """Return the next bytes, at most so many; wait for them, and return a heartbeat after 15 seconds.

        None when the reader has all that it wanted, or `end` was called.

        Raises:
            LineLostError: the rest of a line cannot be had any more.
        """
        has_turn = False
        while self._sent or not (self._is_over or self._left == 0):
            if not has_turn:
                await self._readers.pace.turn()
            has_turn, left, place = False, self._due - time.monotonic(), self._place
            piece = self._step(most_bytes)
            if not piece and not self._is_at_end and left > 0 and await self._read():
                piece = self._step(most_bytes)  # at once: others may need the room in the cache
            if piece or left <= 0:
                return piece or self._heartbeat()
            if self._is_at_end:
                await self._readers.tail.wait(self._waiter, left, self._place)
                has_turn, self._ends.down = True, self._readers.tail.down
            elif place == self._place:  # nothing came of that: it was no better at once
                await self._waiter.wait(min(RETRY_SECONDS, left))
        return None

    def doubt(self) -> None:
        """Send a heartbeat now and another soon: a client that has gone does not take the second."""
        self._due, self._is_doubted = 0.0, True
        self._waiter.wake()

    def end(self) -> None:
        """Let the next piece be None, unless the rest of a line is to come."""
        self._is_over = True
        self._waiter.wake()

    @property
    def _cursor(self) -> Cursor:
        return Cursor(self._store, tuple(self._before_ms), tuple(self._at))

    @property
    def _place(self) -> Positions:
        return Positions(self._born_ms, tuple(self._at), tuple(self._before_ms))

    @property
    def _is_current(self) -> bool:
        """Tell whether ordinals still mean what they meant when the reader asked the store last."""
        born_ms = self._readers.tail.born_ms
        is_same = born_ms is None or born_ms in (self._born_ms, self._known_born_ms)
        return is_same and self._epoch == self._readers.cache.epoch

    @property
    def _is_at_end(self) -> bool:
        """Tell whether the tail reads what comes next."""
        if not self._is_current or self._next_page() is not None:
            return False
        tail, down = self._readers.tail, self._ends.down_beside(self._readers.tail)
        lacking = (at for at in self._ends.unread(self._at) if at not in down and self._find(at) is None)
        return all(tail.reads_next(at, self._at[at], self._born_ms) for at in lacking)

    # What is in the cache.

    def _step(self, most_bytes: int) -> bytes:
        """Put the next piece together of what is in the cache, or has just been read."""
        begun = time.perf_counter()
        piece = self._shared(most_bytes)
        self._fresh.clear()
        self._readers.pace.spent(begun, len(piece))
        if piece:
            self._due = time.monotonic() + HEARTBEAT_SECONDS
        return piece

    def _heartbeat(self) -> bytes:
        pause = DOUBT_SECONDS if self._is_doubted else HEARTBEAT_SECONDS
        self._due, self._is_doubted = time.monotonic() + pause, False
        return heartbeat(self._cursor, self._wanted.look.form, has_cursor=self._wanted.has_cursor)

    def _shared(self, most_bytes: int) -> bytes:
        """Return the next piece, which another reader may have had before from the same place."""
        if self._sent or self._gap or not self._is_current:
            return self._compose(most_bytes)
        pieces = self._readers.pieces
        request = Request(self._epoch, self._place, self._wanted.look, self._wanted.sources, most_bytes)
        piece = pieces.find(request)
        if piece is not None and piece.lines <= self._left:
            self._at, self._before_ms = list(piece.place.ordinals), list(piece.place.before_ms)
            self._left -= piece.lines
            return piece.text
        left, text = self._left, self._compose(most_bytes)
        if text and not self._sent and not self._ends.down:
            pieces.put(request, Piece(text, self._place, left - self._left))
        return text

    def _compose(self, most_bytes: int) -> bytes:
        """Return what there is of the next lines; nothing if they are to be read, or still to come."""
        self._ends.note_tail(self._readers.tail, self._born_ms)
        parts, self._gap = [self._gap] if self._gap else [], b""
        room, rendered = most_bytes - sum(map(len, parts)), 0
        while room > 0 and (self._sent or self._left != 0) and rendered < _RENDERED_BYTES:
            page = self._next_page()
            if page is None:
                break
            place = Place(self._store, tuple(self._before_ms), tuple(self._at)).of_block(page.partition)
            look = self._wanted.look
            is_new = not page.is_rendered(look, place)
            lines = self._readers.cache.lines(page, look, place)
            rendered += len(lines.text) * is_new
            part = self._take(lines, page, room, is_alone=not parts)
            if part is None:
                break
            if part:
                parts.append(part)
                room -= len(part)
        return b"".join(parts)

    def _next_page(self) -> Page | None:
        """Return the page with the next line, None if it has to be read, or is still to come."""
        if not self._is_current:
            return None
        if self._sent:
            return self._find(self._partition)
        earliest: Page | None = None
        for partition in self._ends.unread(self._at):
            page = self._find(partition)
            if page is None and partition not in self._ends.down:
                return None  # may have been accepted before what the cache has of the others
            if page is not None and (earliest is None or page.accepted_ms < earliest.accepted_ms):
                earliest = page
        return earliest

    def _find(self, partition: int) -> Page | None:
        ordinal, before_ms = self._at[partition], self._before_ms[partition]
        page = self._readers.cache.find(Ledger(partition, len(self._at), self._born_ms[partition]), ordinal)
        if page is None:
            fresh = self._fresh.get(partition, ())
            page = next((page for page in fresh if page.begin <= ordinal < page.end), None)
        return page if page is not None and page.is_next(ordinal, before_ms) else None

    def _take(self, lines: Lines, page: Page, room: int, *, is_alone: bool) -> bytes | None:
        """Go on by the lines of a page that fit; None if the next one has to wait for a piece of its own."""
        index, count = self._at[page.partition] - page.begin, len(lines.ends)
        if self._sent:
            return self._take_of_line(lines, page, index, room)
        sources = self._wanted.sources
        chosen = range(index, count) if sources is None else lines.of_sources(index, sources)
        fitting = lines.fitting(chosen[: self._left], room)
        if chosen and not fitting:
            if not is_alone:
                return None
            self._pass(page, chosen[0], 0)
            return self._take_of_line(lines, page, chosen[0], room)
        self._pass(page, count if fitting == len(chosen) else chosen[fitting - 1] + 1, fitting)
        return lines.cut(chosen[:fitting])

    def _take_of_line(self, lines: Lines, page: Page, index: int, room: int) -> bytes:
        """Go on within a line that is longer than a piece."""
        start, end = lines.start(index) + self._sent, lines.ends[index]
        piece = lines.text[start : min(end, start + room)]
        self._sent, self._partition = self._sent + len(piece), page.partition
        if start + len(piece) == end:
            self._sent = 0
            self._pass(page, index + 1, 1)
        return piece

    def _pass(self, page: Page, index: int, count: int) -> None:
        """Note that the place is before the line with this index now, and so many lines were taken."""
        if self._at[page.partition] < page.begin + index:
            self._at[page.partition], self._before_ms[page.partition] = page.begin + index, page.accepted_ms
        self._left -= count

    # What the store has.

    async def _read(self) -> bool:
        """Read on from the place, and tell whether that went well."""
        readers, born_ms, epoch = self._readers, self._readers.tail.born_ms, self._readers.cache.epoch
        try:
            extracts = await readers.read(self._place, lambda: self._next_page() is not None)
        except PartitionsChangedError:
            return await self._begin_anew()
        except HttpError:  # the store is down: the stream goes on when it is back
            return False
        if extracts is None:
            return True
        self._known_born_ms, self._epoch = born_ms, epoch
        gaps = [gap for gap in map(self._go_to, range(len(extracts)), extracts) if gap is not None]
        self._ends.note_read(extracts, readers.tail.news)
        self._born_ms = tuple(extract.born_ms for extract in extracts)
        self._store = store_mark(self._born_ms)
        if gaps:
            self._tell(gaps)
        return True

    async def _begin_anew(self) -> bool:
        """Go on in a store that is divided in another way by now, from the latest moment that was read on."""
        if self._sent:
            raise LineLostError
        latest_ms = max(self._before_ms)
        try:
            place = await self._readers.find(latest_ms)
        except HttpError:
            return False
        self._stand_at(place, place)
        self._tell([Gap(None, latest_ms, max(latest_ms, *place.before_ms))])
        return True

    def _go_to(self, partition: int, extract: Extract) -> Gap | None:
        """Take what was read of a partition, and go to where it begins; return the gap before it, if any."""
        cache, ordinal = self._readers.cache, self._at[partition]
        ledger = Ledger(partition, len(self._at), extract.born_ms)
        is_anew = extract.missed is None
        if is_anew and extract.born_ms == self._born_ms[partition]:
            cache.set_back(ledger)
        self._fresh[partition] = [cache.put(ledger, block) for block in extract.blocks]
        if not is_anew and extract.begin == ordinal:
            return None
        if self._sent and self._partition == partition:
            raise LineLostError
        from_ms = self._before_ms[partition] or self._born_ms[partition]
        self._at[partition], self._before_ms[partition] = extract.begin, extract.before_begin_ms
        to_ms = extract.blocks[0].accepted_ms if extract.blocks else extract.now_ms
        return Gap(extract.missed, from_ms, max(to_ms, from_ms))

    def _tell(self, gaps: Sequence[Gap]) -> None:
        """Have the gaps of all partitions told in one line, ahead of the next piece."""
        self._gap += joined(gaps).line(self._cursor, self._wanted.look.form)
