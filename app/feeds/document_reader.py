"""Reads a feed's body document by document, where `provider_body` cannot decode it in one go.

A document is a JSON value that is a transaction, or an array or an envelope with documents in it, such as a
block or an answer of JSON-RPC. Its shape, which is the form of one provider, is recognised by its fields.
Reading yields steps: a transaction, or what is wrong in place of one, or None where others may be served. Of
`[{"signature":"A"},{"a":1}]` come a transaction and an UnknownShape.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from mmap import mmap

import msgspec

from app.decode.event_loop_turns import PACE_BYTES
from app.decode.item import InvalidItem, ItemLimits
from app.decode.surrogates import masked
from app.errors import BodyTooLarge
from app.feeds.character_runs import after_space
from app.feeds.document import MOST_LEVELS, Document, Known, Steps, first_of, malformed, refused_item, text_of
from app.feeds.feed_rules import FeedRules
from app.feeds.json_values import WINDOW_BYTES, Refused, Values, is_null
from app.feeds.mapped import MappedReader
from app.feeds.shape_fields import NO_FIELDS, Fields, fields_at, named, parsed_fields
from app.feeds.shape_names import NAMES
from app.feeds.value_end_by_parser import value_end

MOST_DOCUMENTS = 200_000
"""A body of 32 MiB may hold 16 million times `1,`, and each is answered with a sentence of its own."""
_MOST_NAMES = 9
_SHORT_BYTES = 4096
_names_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KINDS = {b'"': "a text", b"[": "an array", b"t": "true", b"f": "false", b"n": "null"}


class UnknownShape(InvalidItem):
    """A document of none of the shapes that the gate knows."""

    __slots__ = ()


class Reader:
    """Reads the documents of one body, and counts them by shape, and what the feed's rules leave out."""

    def __init__(
        self,
        text: bytes | mmap,
        limits: ItemLimits,
        rules: FeedRules,
        recognised: Callable[[Fields], Known | None],
    ) -> None:
        """Prepare to read a text; `recognised` finds the shape of an object with these fields.

        The text of a long body is an mmap, memory without a file (app/decode/body_reader.py).
        """
        self._recognised = recognised
        self.values = Values(text)
        self.limits, self.rules = limits, rules
        self.shapes, self.skipped = Counter[str](), Counter[str]()
        self._documents = 0
        self._mapped = None if rules.mapped is None else MappedReader(rules.mapped)

    def read_root(self, document: Document) -> Steps:
        """Yield the steps (`Steps`) of reading a document that is a body or a line of it."""
        return self.read(document) if self._mapped is None else self._mapped.read(self, document)

    def read(self, document: Document) -> Steps:
        """Yield the steps of reading a document of any shape, or an array's elements; null has none."""
        if document.level > MOST_LEVELS:
            raise InvalidItem(f"the transaction is inside of more than {MOST_LEVELS} arrays and envelopes")
        first = first_of(self, document)
        if first == b"{":
            yield from self._read_object(document)
        elif first == b"[":
            for place in self.values.elements(document.start, document.end):
                if place is None:
                    yield None
                else:
                    element = document.inner(place)
                    yield from self.guarded(self._read_element(element), element)
        elif not is_null(self.values.text, document):
            yield from self.check(document)
            raise _unknown(document, (yield from self.contents(document)))

    def _read_element(self, document: Document) -> Steps:
        if is_null(self.values.text, document):
            raise InvalidItem("null is no transaction")
        yield from self.read(document)

    def guarded(self, steps: Steps, document: Document) -> Steps:
        """Yield what a reader of one document yields; if it raises, yield what is wrong instead."""
        self._documents += 1
        if self._documents > MOST_DOCUMENTS:
            raise BodyTooLarge(f"the body holds more than {MOST_DOCUMENTS} documents: send less at once")
        try:
            yield from steps
        except Refused as refused:
            yield refused_item(refused, self.values, document)
        except InvalidItem as error:
            # A copy, since the error raised keeps the document in memory through its traceback.
            yield type(error)(str(error), is_malformed=error.is_malformed)

    def _read_object(self, document: Document) -> Steps:
        fields, error = yield from self._fields(document)
        known = self._recognised(fields)
        # What is wrong with an envelope may be wrong with one of the transactions in it only.
        if error is not None and not (known is not None and known.is_envelope):
            raise error
        if known is None:
            if document.level == 0 and (yield from self._is_empty(document)):
                return  # a body of {} brings nothing, as one of [] or null
            raise _unknown(document, (yield from self.contents(document)))
        yield from self._read_known(known, document, fields)

    def _is_empty(self, document: Document) -> Generator[None, None, bool]:
        at = yield from after_space(self.values.text, document.start + 1)
        return self.values.text[at : at + 1] == b"}"

    def _read_known(self, known: Known, document: Document, fields: Fields) -> Steps:
        # `within` is the shape of the outermost envelope that was counted: what is inside counted with it.
        # An envelope without a shape (quicknode_streams_envelope.py) is not counted; what is inside is.
        if document.within is None and known.shape is not None:
            self.shapes[known.shape] += 1
        try:
            yield from known.read(self, document, fields)
        except InvalidItem as error:
            # An answer in an answer in an answer is named once.
            name = f"{known.shape}: " if known.shape else ""
            told = str(error).removeprefix(name)
            raise InvalidItem(f"{name}{told}", is_malformed=error.is_malformed) from None

    def fields(self, document: Document) -> Generator[None, None, Fields]:
        """Return the fields of a document that is an object; none of another."""
        if first_of(self, document) != b"{":
            return NO_FIELDS
        fields, _ = yield from self._fields(document)
        return fields

    def _fields(self, document: Document) -> Generator[None, None, tuple[Fields, InvalidItem | None]]:
        """Return the fields of an object, and the error if it, or the value of a field, is no JSON."""
        error = None
        if document.end - document.start <= WINDOW_BYTES:
            text = bytes(self.values.text[document.start : document.end])
            if len(text) > PACE_BYTES:
                yield None
            try:
                return parsed_fields(text), None
            except (ValueError, RecursionError) as refused:
                error = malformed(refused, text, document.start)
            # The parser refuses half an emoji, which is valid JSON (surrogates.py).
            found = masked(text) if len(text) <= self.limits.max_item_bytes else None
            if found is not None:
                try:
                    return parsed_fields(found.text), None
                except (ValueError, RecursionError):
                    yield None
        fields = Fields()
        for member in self.values.members(document.start, document.end):
            if member is None:
                yield None
            else:
                fields_at(fields, self.values, member)
        return fields, error

    def check(self, document: Document) -> Iterator[None]:
        """Refuse a document that is no JSON.

        Only a tolerant reading needs this: of lines, or of a body that as a whole is no JSON. Of any other
        body it was found out before the first document was read.

        Raises:
            InvalidItem: it is no JSON.
        """
        if not self.values.is_tolerant:
            return
        text = text_of(self, document)
        try:
            value_end(text, 0, len(text))
        except (ValueError, RecursionError) as error:
            yield None
            found = masked(text)
            try:
                value_end(found.text if found else text, 0, len(text))
            except (ValueError, RecursionError):
                raise malformed(error, text, document.start) from None

    def contents(self, document: Document) -> Generator[None, None, str]:
        """Describe a document for an error, by what it is and has: `an object with signature, slot`."""
        first = first_of(self, document)
        if first != b"{":
            return _KINDS.get(first, "a number")
        names = self._names_of_short(document)
        if not names:
            for member in self.values.members(document.start, document.end):
                if member is None:
                    yield None
                else:
                    names.append(member.name)
                    if len(names) == _MOST_NAMES:
                        break
        return f"an object with {named(names)}" if names else "an empty object"

    def _names_of_short(self, document: Document) -> list[str]:
        """Return the first names of an object's members; none if it is long, or the parser refuses it.

        A body may have 200,000 times `{"a":1}`, and the parser is ten times as fast as a walk.
        """
        if document.end - document.start > _SHORT_BYTES:
            return []
        try:
            found = _names_decoder.decode(bytes(self.values.text[document.start : document.end]))
        except (ValueError, RecursionError):
            return []
        return list(found)[:_MOST_NAMES]


def _unknown(document: Document, found: str) -> InvalidItem:
    if document.is_of_block:
        return InvalidItem(
            f"the transaction of the block has no transaction.signatures, which it is known by; it is {found}"
        )
    return UnknownShape(f"{found} is no known shape; known are {NAMES}, and whatever the feed's file maps")
