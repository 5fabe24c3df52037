"""Reads what was accepted, in order, from positions on: for streams.

The acceptances of a partition are numbered from 0 on, by ordinals, and a position is the ordinal of the next
one to read. Ordinals begin again when a partition's ledger is lost, so a position says also when the ledger
was born; and the last of them are given anew when a failover sets it back, so it says when the transaction
before it was accepted. Nothing is written for a reader, and nothing is kept for it beyond the retention of
transactions:

    extract = (await accepted.read(positions, 1000, 1 << 20))[0]
    extract.missed      how many between the position and `extract.begin` have left already
    extract.end         the position to go on from
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from app.store.blocks import StoredBlock, parse_block
from app.store.down_partitions import naming, of_those_that_serve
from app.store.map_rules import Layout
from app.store.positions import Positions, Start
from app.store.session import StoreSession

MOST_HINTS = 1024
NOT_KNOWN = -1


class PartitionsChangedError(Exception):
    """The positions are of a store that had another number of partitions."""


class Extract(NamedTuple):
    """What one partition gave."""

    now_ms: int
    """The clock of its server."""
    born_ms: int
    """When its ledger was born: another one than that of the position when that ledger was lost."""
    begin: int
    """The first ordinal handed out; the first block may have some before it."""
    end: int
    """The ordinal after the last one handed out, at which to go on; the last block may have more."""
    added: int
    """The ordinal of the next acceptance."""
    added_ms: int
    """When the last one of all was accepted; 0 if none was."""
    missed: int | None
    """How many between the position and `begin` have left; None if nobody knows, as when the ledger was lost
    or set back."""
    blocks: list[StoredBlock]
    is_down: bool = False
    """Whether the partition could not be asked: the extract is empty, and says nothing of what is new."""

    @property
    def before_begin_ms(self) -> int:
        """When the one before `begin` was accepted; 0 if there is none, or nobody knows."""
        if not self.blocks:
            return self.added_ms if self.begin == self.added else 0
        first = self.blocks[0]
        return first.before_ms if self.begin == first.ordinal else first.accepted_ms

    @property
    def before_end_ms(self) -> int:
        """When the one before `end` was accepted; 0 if there is none, or nobody knows."""
        return self.blocks[-1].accepted_ms if self.blocks else self.before_begin_ms


def extract_of(numbers: Sequence[int], values: Sequence[bytes]) -> Extract:
    """Return the extract of the seven numbers and the blocks that a script answers."""
    now_ms, born_ms, begin, end, added, added_ms, missed = numbers
    known = None if missed == NOT_KNOWN else missed
    blocks = [parse_block(value) for value in values]
    return Extract(now_ms, born_ms, begin, end, added, added_ms, known, blocks)


def _unread(at: tuple[int, int, int]) -> Extract:
    """Return an empty extract that stays where the reader is."""
    born_ms, ordinal, before_ms = at
    return Extract(0, born_ms, ordinal, ordinal, ordinal, before_ms, 0, [], is_down=True)


def positions_after(extracts: Sequence[Extract]) -> Positions:
    """Return where to go on behind what each partition gave."""
    return Positions.of((extract.born_ms, extract.end, extract.before_end_ms) for extract in extracts)


class Accepted:
    """Reads all partitions of a store at once; it holds nothing but hints on where positions are."""

    def __init__(
        self,
        session: StoreSession,
        layout_of: Callable[[int], Layout],
        read_ends: Callable[[], Mapping[str, tuple[int, int, int]]] = dict,
    ) -> None:
        """Call scripts over a session; `layout_of` gives the layout of a number of partitions.

        `read_ends` gives the places at which partitions ended by what they have told otherwise.
        """
        self._session = session
        self._read_ends = read_ends
        self._layout_of = layout_of
        self._hints: dict[tuple[str, int, int], int] = {}
        self._ends: dict[str, tuple[int, int, int]] = {}  # of each partition, as last read

    @property
    def partitions(self) -> int:
        """How many partitions the store has.

        Raises:
            StoreError: no store was connected to yet.
        """
        return len(self._layout.prefixes)

    async def find(self, start: Start) -> Positions:
        """Find the positions to begin at; those of a moment have all from then on, as far as it is kept.

        Where a partition is down, `now` is where it ended by the latest that it told.

        Raises:
            StoreError: the store cannot say; of one partition it says which.
        """
        layout, places, has_left = self._layout, list[tuple[int, int, int]](), False
        calls = (self._find(prefix, layout.rules, start) for prefix in layout.prefixes)
        answers = await of_those_that_serve(calls)
        for prefix, answer in zip(layout.prefixes, answers, strict=True):
            if answer is None and start == "now" and (end := self._end_of(prefix)) is not None:
                places.append(end)
                continue
            born_ms, ordinal, block, before_ms, left = answer or await self._find(prefix, layout.rules, start)
            self._note_hint((prefix, born_ms, ordinal), block)
            places.append((born_ms, ordinal, before_ms))
            has_left |= bool(left)
            if start == "now":
                self._ends[prefix] = places[-1]
        return Positions.of(places, has_left=has_left)

    async def read(self, positions: Positions, limit: int, most_bytes: int) -> list[Extract]:
        """Read each partition from its position on; an extract each, empty where nothing new is.

        Each is of at most `limit` transactions, and of as many blocks as have at most `most_bytes` before
        compression; of one block, should the first have more. Where a partition is down, it is empty too.

        Raises:
            PartitionsChangedError: the store has another number of partitions by now.
            StoreError: no partition can be read.
        """
        layout = self._layout
        if len(layout.prefixes) != len(positions.ordinals):
            raise PartitionsChangedError
        calls = (
            self._read(prefix, layout.rules, at, limit, most_bytes)
            for prefix, at in zip(layout.prefixes, positions.places, strict=True)
        )
        extracts = await of_those_that_serve(calls)
        return [extract or _unread(at) for at, extract in zip(positions.places, extracts, strict=True)]

    @property
    def _layout(self) -> Layout:
        return self._layout_of(self._session.partitions)

    async def _find(self, prefix: str, rules: bytes, start: Start) -> list[int]:
        with naming(self._session, prefix):
            answer: list[int] = await self._session.run("find_position", prefix, [rules, start])
        return answer

    def _end_of(self, prefix: str) -> tuple[int, int, int] | None:
        """Return the latest place at which a partition is known to have ended, if any."""
        known = (ends.get(prefix) for ends in (self._ends, self._read_ends()))
        return max((end for end in known if end is not None), default=None)

    async def _read(
        self, prefix: str, rules: bytes, at: tuple[int, int, int], limit: int, most_bytes: int
    ) -> Extract:
        born_ms, ordinal, before_ms = at
        hint = self._hints.get((prefix, born_ms, ordinal), NOT_KNOWN)
        args: list[bytes | int] = [rules, born_ms, ordinal, before_ms, hint, limit, most_bytes]
        answer: list[Any] = await self._session.run("read_blocks", prefix, args)
        extract = extract_of(answer[:7], answer[8:])
        self._note_hint((prefix, extract.born_ms, extract.end), answer[7])
        self._ends[prefix] = (extract.born_ms, extract.added, extract.added_ms)
        return extract

    def _note_hint(self, at: tuple[str, int, int], block: int) -> None:
        """Remember which block a position is in, the latest positions only; wrong hints cost a search."""
        if block != NOT_KNOWN:
            self._hints.pop(at, None)
            self._hints[at] = block
            if len(self._hints) > MOST_HINTS:
                del self._hints[next(iter(self._hints))]
