"""Reads the body that a provider sends: from its bytes to transactions, whatever its shape.

There are three ways. Each leaves what it is not made for to the next:

1. Arrays and blocks of Solana's transactions, all valid, are cut in one pass (solana_fast_array.py).
2. Short arrays of items or of Helius' enhanced transactions, all valid, are decoded at once (`_short_array`).
3. Any other body is read document by document, and what is wrong with one stands in its place (`_Documents`).
   If the feed's file maps the documents, the feed's bodies go only this way.
"""

from collections.abc import AsyncIterator, Generator
from mmap import mmap
from typing import TypeVar, cast

from app.decode.arrays import Keep, uncounted
from app.decode.columns import Columns
from app.decode.compact_array import decode_compact_array
from app.decode.error_messages import CUT_OFF, looks_like_lines
from app.decode.event_loop_turns import PACE_BYTES, Turn, next_turn
from app.decode.item import InvalidItem, ItemLimits, ItemResult
from app.errors import MalformedBody
from app.feeds.body_parts import Part
from app.feeds.character_runs import after_space, before_space, last_line, line_end
from app.feeds.document import Document, Steps, malformed
from app.feeds.document_reader import Reader
from app.feeds.feed_rules import FeedRules
from app.feeds.helius_enhanced_fast_array import MOST_QUICK_BYTES, read_enhanced_array
from app.feeds.json_values import VALUE_COST, WINDOW_BYTES, Refused
from app.feeds.recognise import recognised
from app.feeds.shape_names import Shape
from app.feeds.solana_fast_array import find_transactions
from app.models import Transaction

MOST_QUICK_ITEMS = 10_000
"""The most items of a part: more in 512 KiB have hardly a payload, and take 20 ms at once."""
PART_BYTES = 512 * 1024
"""A part is compressed in one go when it is stored, and others wait for that: two milliseconds."""
T = TypeVar("T")


async def read_provider_body(  # noqa: PLR0913, PLR0917  a body, what is allowed, and how it is to wait
    document: bytes | mmap,
    limits: ItemLimits,
    rules: FeedRules,
    most_items: int,
    turn: Turn = next_turn,
    keep: Keep = uncounted,
) -> AsyncIterator[Part]:
    """Yield the transactions of a body in parts of at most `most_items`, and mostly at most 512 KiB.

    `document` has no white space around it. What is wrong with one transaction stands in its place. A body
    such as `[]` or `{"jsonrpc":"2.0","result":null}` has no transactions and is no error. `turn` waits for
    the turn of the body. `keep` is told what is taken by what is wrong until whoever asked is done with its
    part, a number below 0 then, and may refuse more.

    Raises:
        MalformedBody: the body as a whole is no JSON, with the byte at fault; nothing of it was yielded.
        BodyTooLarge: it holds too many documents, or is no JSON and too long to find out where they end.
    """
    is_mapped = rules.mapped is not None
    found = None if is_mapped else await _paced(find_transactions(document, limits, rules), turn)
    if found is not None:
        for first, last in found.cuts(most_items, PART_BYTES):
            part = found.columns(first, last, limits.default_source)
            yield Part(part, {} if first else found.skipped, {} if first else {found.shape: found.documents})
        return
    columns, shape = (None, Shape.MAPPED) if is_mapped else _short_array(document, limits, rules)
    if columns is not None:
        for start in range(0, len(columns), most_items):
            part = columns[start : start + most_items]
            yield Part(part, {}, {shape: len(part)})
        return
    reader, results, size, kept = Reader(document, limits, rules, recognised), list[ItemResult](), 0, 0
    for step in _Documents(reader, document).steps():
        if step is None:
            await turn()
            continue
        results.append(step)
        if isinstance(step, InvalidItem):
            keep(step.held_bytes)
            kept += step.held_bytes
        else:
            size += len(step.payload)
        if len(results) == most_items or size >= PART_BYTES:
            yield _part(reader, results)
            keep(-kept)
            results, size, kept = [], 0, 0
    if results or reader.shapes or reader.skipped:
        yield _part(reader, results)


def _part(reader: Reader, results: list[ItemResult]) -> Part:
    """Return what was read since the last part."""
    transactions = [result for result in results if isinstance(result, Transaction)]
    is_valid = len(transactions) == len(results)
    part = Part(Columns.of(transactions) if is_valid else results, dict(reader.skipped), dict(reader.shapes))
    reader.skipped.clear()
    reader.shapes.clear()
    return part


async def _paced(walk: Generator[None, None, T], turn: Turn) -> T:
    """Return what a walk through a body returns; others are served wherever it pauses."""
    while True:
        try:
            next(walk)
        except StopIteration as done:
            return cast(T, done.value)
        await turn()


def _short_array(
    document: bytes | mmap, limits: ItemLimits, rules: FeedRules
) -> tuple[Columns | None, Shape]:
    """Return the transactions of a short array of items or enhanced transactions; None for any other body.

    Return its shape, too, which means nothing beside None.
    """
    if document[:1] != b"[" or len(document) > MOST_QUICK_BYTES:
        return None, Shape.ITEM
    body = bytes(document)
    columns = decode_compact_array(body, limits, MOST_QUICK_ITEMS)
    if columns is None:
        return read_enhanced_array(body, limits, rules), Shape.HELIUS_ENHANCED
    columns.sources = [limits.default_source] * len(columns)  # the feed, whatever source an item names
    return columns, Shape.ITEM


class _Documents:
    """The documents of one body: one, or one on each line.

    One that is no JSON as a whole may be an array with good elements, or have a good envelope: it is read all
    the same if its end can be told by its brackets, and `_refused` keeps why the parser refuses it.
    """

    def __init__(self, reader: Reader, text: bytes | mmap) -> None:
        self._reader, self._values, self._text = reader, reader.values, text
        self._refused: Refused | None = None

    def steps(self) -> Steps:
        """Yield the transactions of all documents."""
        text, length = self._text, len(self._text)
        if not length:
            raise MalformedBody("the body is empty; send it as the provider gave it")
        start = yield from after_space(text, 0)
        try:
            end = yield from self._values.strict_end(start, length)
        except Refused as refused:
            end = yield from self._lenient_end(refused)
        behind = yield from after_space(text, end)
        if end and behind == length:
            yield from self._read_only(Document(start, end))
        elif end and (yield from line_end(text, end, behind)) == behind:
            raise MalformedBody(f"JSON is malformed: trailing characters (byte {behind})")
        else:
            self._values.is_tolerant = True  # a line that is no JSON spoils no other
            yield from self._read_lines()

    def _lenient_end(self, refused: Refused) -> Generator[None, None, int]:
        """Return where a document that is no JSON ends by its brackets; 0 if the body is lines of documents.

        Raises:
            MalformedBody: the end cannot be told, for example because the body is cut off.
        """
        text, length = self._text, len(self._text)
        if looks_like_lines(text) and (yield from self._are_lines()):
            return 0
        is_container = text[:1] in (b"{", b"[")
        end = (yield from self._values.lenient_end(0, length)) if is_container else None
        if end is None:
            raise MalformedBody(_reason(refused, self._text))
        self._values.is_tolerant, self._refused = True, refused
        return end

    def _are_lines(self) -> Generator[None, None, bool]:
        """Tell whether the first or the last line is a document; of one indented document neither is."""
        text, values = self._text, self._values
        first_end = yield from line_end(text, 0, len(text))
        end = yield from values.lenient_end(0, first_end)
        if end is not None and (yield from after_space(text, end)) >= first_end:
            return True
        last = yield from last_line(text)
        try:
            yield from values.strict_end((yield from after_space(text, last)), len(text))
        except Refused:
            return False
        return True

    def _read_only(self, document: Document) -> Steps:
        """Yield the transactions of the only document; it may be an array with an element that is no JSON."""
        try:
            yield from self._reader.read_root(document)
        except Refused as refused:
            raise MalformedBody(_reason(self._refused or refused, self._text)) from None
        except InvalidItem as error:
            if error.is_malformed:
                detail = _reason(self._refused, self._text) if self._refused else str(error)
                raise MalformedBody(detail) from None
            yield type(error)(str(error))

    def _read_lines(self) -> Steps:
        """Yield the transactions of each line, and what is wrong with a line in its place."""
        text, at, length, work = self._text, 0, len(self._text), 0
        while True:
            before, at = at, (yield from after_space(text, at))
            if at == length:
                return
            behind = yield from line_end(text, at, length)
            end = yield from before_space(text, at, behind)
            document = Document(at, end)
            yield from self._reader.guarded(self._reader.read_root(document), document)
            work += behind - before + VALUE_COST
            at = behind
            if work > PACE_BYTES:
                work = 0
                yield None


def _reason(refused: Refused, text: bytes | mmap) -> str:
    """Return why a body is no JSON, with the byte counted from its beginning."""
    if str(refused.error) == CUT_OFF:
        return f"JSON is cut off (byte {len(text)})"
    return str(malformed(refused.error, text[refused.start : refused.start + WINDOW_BYTES], refused.start))
