"""Renders blocks for readers: each transaction as a line, around the bytes of its payload.

    {"cursor":"8d3f0a61-019d2b6a3f4-00000000002a","signature":"5BNbFfw7","source":"helius-a","slot":304573958,
     "first_seen_ms":1795399568372,"payload":{"fee":25000}}

all in one line. A block is rendered as a whole, since that takes a third of the time of encoding each line by
itself, and is then cut where its lines end. Nothing in a payload is changed but line ends, which are white
space there and become spaces: half a surrogate pair stays what it was.
"""

import sys
from bisect import bisect_right
from collections.abc import Collection, Sequence
from enum import Enum
from itertools import accumulate, takewhile
from typing import NamedTuple

from app.consumers.cursor import Cursor, cursor_parts
from app.store.blocks import StoredBlock

_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")


class Form(Enum):
    """What a reader gets, by what stands behind each line."""

    LINES = b"\n"
    """NDJSON."""
    EVENTS = b"\n\n"
    """Server-sent events, whose ids are the cursors."""
    ARRAY = b","
    """Members of a JSON array, with one comma too many."""


class Look(NamedTuple):
    """How a reader wants its lines."""

    form: Form
    has_payload: bool = True


class Wanted(NamedTuple):
    """What a reader wants."""

    look: Look
    sources: frozenset[str] | None = None
    """The sources whose transactions it wants; None for all."""
    limit: int = sys.maxsize
    """After how many lines it ends."""
    has_cursor: bool = False
    """Whether its heartbeats have the cursor, also those of NDJSON."""


class Place(NamedTuple):
    """Where the reader of a block is otherwise, which its cursors tell: the store, and all partitions."""

    store: int
    before_ms: tuple[int, ...]
    """When the transaction before that was accepted; that of the block's own does not count either."""
    ordinals: tuple[int, ...]
    """The ordinal of the next transaction in each partition; that of the block's own does not count."""

    def of_block(self, partition: int) -> "Place":
        """Return a copy that is equal for all blocks of a partition: what does not count in it is 0."""
        return self.behind(partition, 0, 0)

    def behind(self, partition: int, ordinal: int, before_ms: int) -> "Place":
        """Return a copy in which the place in one partition is another."""
        moments, ordinals = list(self.before_ms), list(self.ordinals)
        moments[partition], ordinals[partition] = before_ms, ordinal
        return Place(self.store, tuple(moments), tuple(ordinals))


class Lines(NamedTuple):
    """The lines of one block."""

    text: bytes
    ends: list[int]
    """Where each line ends in the text."""
    sources: list[str]
    """The source of each transaction."""

    def start(self, at: int) -> int:
        """Return where the line with this index begins in the text."""
        return self.ends[at - 1] if at else 0

    def of_sources(self, index: int, sources: Collection[str]) -> Sequence[int]:
        """Return the indices, from this one on, of lines whose source is one of these."""
        named = self.sources
        return [at for at in range(index, len(named)) if named[at] in sources]

    def fitting(self, chosen: Sequence[int], most_bytes: int) -> int:
        """Return how many of the lines with these indices, first ones first, fit into so many bytes."""
        if isinstance(chosen, range):
            begin, end = chosen.start, chosen.stop
            return bisect_right(self.ends, self.start(begin) + most_bytes, begin, end) - begin
        sizes = accumulate(self.ends[at] - self.start(at) for at in chosen)
        return sum(1 for _ in takewhile(most_bytes.__ge__, sizes))

    def cut(self, chosen: Sequence[int]) -> bytes:
        """Return the lines with these indices."""
        if not chosen:
            return b""
        if isinstance(chosen, range):
            return self.text[self.start(chosen[0]) : self.ends[chosen[-1]]]
        return b"".join([self.text[self.start(at) : self.ends[at]] for at in chosen])


def render(block: StoredBlock, partition: int, look: Look, place: Place | None) -> Lines:
    """Render the transactions of a block of this partition that were accepted, at least one.

    Their cursors are null without a place.
    Column by column, for all lines at once, what would take three times as long line by line.
    """
    records, accepted_ms, ordinal = block.records(), block.accepted_ms, block.ordinal
    sources, slots, payloads, signatures = zip(*records, strict=True)
    count, end = len(records), b"}" + look.form.value
    openings = _openings(range(ordinal + 1, ordinal + 1 + count), accepted_ms, partition, look.form, place)
    names = _escaped("\n".join(signatures)).encode().split(b"\n")
    kinds = list(zip(sources, slots, strict=True))
    middle_of = {kind: _middle(*kind, accepted_ms, look) for kind in set(kinds)}
    middles = [middle_of[kind] for kind in kinds]
    contents = _in_one_line(payloads) if look.has_payload else [b""] * count
    parts = [end] * (5 * count)
    parts[::5], parts[1::5], parts[2::5], parts[3::5] = openings, names, middles, contents
    around = len(openings[0]) + len(end)
    lengths = (
        around + len(name) + len(middle) + len(content)
        for name, middle, content in zip(names, middles, contents, strict=True)
    )
    return Lines(b"".join(parts), list(accumulate(lengths)), list(sources))


def _openings(
    following: Sequence[int], accepted_ms: int, partition: int, form: Form, place: Place | None
) -> list[bytes]:
    """Return what each line has before its signature, the cursor in it, by the ordinal behind it."""
    if place is None:
        return [b'{"cursor":null,"signature":"'] * len(following)
    moments = list(place.before_ms)
    moments[partition] = accepted_ms
    parts = cursor_parts(place.store, moments, place.ordinals)
    parts[1 + partition] = b"%012x"
    cursor = b"".join(parts)
    opening = b'{"cursor":"%b","signature":"' % cursor
    if form is Form.EVENTS:
        # The cursor stands twice, so that an EventSource has it, and whoever reads the line alone.
        opening = b"id: %b\ndata: %b" % (cursor, opening)
        following = [ordinal for ordinal in following for _ in range(2)]
    lines = (opening + b"\0") * (len(following) // opening.count(b"%")) % tuple(following)
    return lines.split(b"\0")[:-1]


def _middle(source: str, slot: int | None, accepted_ms: int, look: Look) -> bytes:
    """Return what a line has between its signature and its payload."""
    members = f'","source":"{source}","slot":{"null" if slot is None else slot},"first_seen_ms":{accepted_ms}'
    return (members + (',"payload":' if look.has_payload else "")).encode()


def _escaped(signatures: str) -> str:
    """Escape signatures as they stand in JSON: they have visible ASCII, of which two need it."""
    return signatures.replace("\\", "\\\\").replace('"', '\\"')


def _in_one_line(payloads: Sequence[bytes]) -> Sequence[bytes]:
    """Make spaces of line ends, which are white space there; few payloads have any."""
    joined = b"".join(payloads)
    if b"\n" in joined or b"\r" in joined:
        return [payload.translate(_LINE_ENDS) for payload in payloads]
    return payloads


class Gap(NamedTuple):
    """Transactions that left before a reader came to them."""

    transactions: int | None
    """How many; None where nobody knows."""
    from_ms: int
    to_ms: int

    @property
    def document(self) -> bytes:
        """The gap as JSON."""
        count = b"null" if self.transactions is None else b"%d" % self.transactions
        return b'{"transactions":%b,"from_ms":%d,"to_ms":%d}' % (count, self.from_ms, self.to_ms)

    def line(self, cursor: Cursor, form: Form) -> bytes:
        """Return the gap as a line of a stream, with the cursor of the place behind the gap."""
        line = b'{"cursor":"%b","gap":%b}' % (cursor.text, self.document)
        return (b"id: %b\ndata: " % cursor.text if form is Form.EVENTS else b"") + line + form.value


def joined(gaps: Sequence[Gap]) -> Gap:
    """Return the gaps of several partitions, at least one, as one."""
    counts = [gap.transactions for gap in gaps]
    known = [count for count in counts if count is not None]
    return Gap(
        sum(known) if len(known) == len(counts) else None,
        min(gap.from_ms for gap in gaps),
        max(gap.to_ms for gap in gaps),
    )


def heartbeat(cursor: Cursor, form: Form, *, has_cursor: bool = False) -> bytes:
    """Return what is no line, and only shows that the stream lives.

    To an `EventSource`, and to who asks for it, it tells the place that was reached, from which they go on
    when they connect again: of the sources that they want, nothing may have come for long.
    """
    if form is Form.EVENTS:
        return b":\nid: %b\n\n" % cursor.text
    return b'{"cursor":"%b"}\n' % cursor.text if has_cursor else b"\n"
