"""Any other JSON, of any chain: JSON Pointers in the feeds file say where items and their fields stand.

Of `{"logs":[{"transactionHash":"0xab…","blockNumber":"0x1b4"}]}` the items are at `/logs`, and in each the
signature at `/transactionHash` and the slot at `/blockNumber`.
"""

import re
from collections.abc import Generator

from app.decode import error_messages
from app.decode.item import InvalidItem
from app.feeds.document import (
    Document,
    Reading,
    Steps,
    first_of,
    text_of,
    transaction_of,
    value_of,
)
from app.feeds.feed_rules import MappedShape
from app.feeds.json_pointers import Pointer, pointer_of
from app.feeds.json_values import Element, Values, is_null
from app.feeds.shape_names import Shape
from app.feeds.signatures import plain_signature
from app.feeds.slots import slot_of

_INDEX = re.compile(r"(?:0|[1-9][0-9]{0,8})\Z")


class MappedReader:
    """Reads the documents of a feed with a mapped shape."""

    def __init__(self, mapped: MappedShape) -> None:
        self._mapped = mapped
        self._items = None if mapped.items is None else pointer_of(mapped.items)
        self._signature = pointer_of(mapped.signature)
        self._slot: Pointer | None = None if mapped.slot is None else pointer_of(mapped.slot)

    def read(self, reading: Reading, document: Document) -> Steps:
        """Yield the transactions of a document: of the items in it, or of each element of an array."""
        first = first_of(reading, document)
        if self._items is None:
            yield from self._read_items(reading, document, first)
            return
        found = yield from _find(reading.values, Element(document.start, document.end), self._items)
        if found is not None:
            reading.shapes[Shape.MAPPED] += 1
            items = document.inner(found)
            yield from self._read_items(reading, items, first_of(reading, items), is_counted=False)
        elif first == b"[" and document.level == 0:
            for place in reading.values.elements(document.start, document.end):
                inner = None if place is None else document.inner(place)
                yield from [None] if inner is None else reading.guarded(self.read(reading, inner), inner)
        else:
            has = yield from reading.contents(document)
            raise InvalidItem(f"mapped: there is nothing at {self._mapped.items} in {has}")

    def _read_items(
        self, reading: Reading, document: Document, first: bytes, *, is_counted: bool = True
    ) -> Steps:
        """Yield the items of an array, one that is an object, or none of null."""
        if first == b"[":
            for place in reading.values.elements(document.start, document.end):
                inner = None if place is None else document.inner(place)
                if inner is None:
                    yield None
                else:
                    reading.shapes[Shape.MAPPED] += is_counted
                    yield from reading.guarded(self._read_item(reading, inner), inner)
        elif not is_null(reading.values.text, document):
            reading.shapes[Shape.MAPPED] += is_counted
            yield from reading.guarded(self._read_item(reading, document), document)

    def _read_item(self, reading: Reading, document: Document) -> Steps:
        text, place = text_of(reading, document), Element(document.start, document.end)
        yield from reading.check(document)
        signature = yield from _find(reading.values, place, self._signature)
        if signature is None:
            has = yield from reading.contents(document)
            raise InvalidItem(f"mapped: there is no signature at {self._mapped.signature} in {has}")
        slot = None if self._slot is None else (yield from _find(reading.values, place, self._slot))
        name = f"mapped: {self._mapped.signature or 'the item itself'}"
        known = plain_signature(value_of(reading, signature), name)
        yield transaction_of(reading, known, slot_of(value_of(reading, slot)), text)


def _find(values: Values, place: Element, pointer: Pointer) -> Generator[None, None, Element | None]:
    """Return where the value stands that a pointer leads to from a value; None if there is none.

    A generator: it yields wherever others may be served.

    Raises:
        InvalidItem: a name on the way is there twice.
        Refused: what is on the way is no JSON.
    """
    found: Element | None = place
    for name in pointer:
        if found is None:
            return None
        first = bytes(values.text[found.start : found.start + 1])
        if first == b"{":
            found = yield from _member(values, found, name)
        elif first == b"[" and _INDEX.match(name):
            found = yield from _element(values, found, int(name))
        else:
            return None
    return found


def _member(values: Values, place: Element, name: str) -> Generator[None, None, Element | None]:
    found: Element | None = None
    for member in values.members(place.start, place.end):
        if member is None:
            yield
        elif member.name == name:
            if found is not None:
                raise InvalidItem(error_messages.KEY_TWICE.format(name))
            found = Element(member.start, member.end)
    return found


def _element(values: Values, place: Element, index: int) -> Generator[None, None, Element | None]:
    at = 0
    for element in values.elements(place.start, place.end):
        if element is None:
            yield
        elif at == index:
            return element
        else:
            at += 1
    return None
