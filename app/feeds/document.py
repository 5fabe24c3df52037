"""What the readers of shapes are given: a document, and the body that it is a part of."""

import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple, Protocol

import msgspec

from app.decode import error_messages
from app.decode.error_messages import explain
from app.decode.item import InvalidItem, ItemLimits, ItemResult, check_payload
from app.feeds.feed_rules import FeedRules
from app.feeds.json_values import Element, Refused, Values, is_null
from app.feeds.shape_fields import Fields
from app.feeds.shape_names import Shape
from app.models import Transaction

Steps = Iterator[ItemResult | None]
"""Transactions and what is wrong with some, in their order; None wherever others may be served."""

MOST_LEVELS = 8
"""A transaction may be in this many arrays and envelopes."""


SHORT_BYTES = 64 * 1024
"""No signature, slot or error is longer than this."""

_AT_BYTE = re.compile(r"\(byte (\d+)\)")


class Document(NamedTuple):
    """A JSON value of a body: where it stands, and what its envelopes say of it."""

    start: int
    end: int
    slot: int | None = None
    within: Shape | None = None
    """The shape of the outermost envelope, which is what is counted."""
    level: int = 0
    """How many arrays and envelopes it is in."""
    is_of_block: bool = False
    """Whether a block of Solana's has it among its transactions."""

    def inner(self, place: Element, within: Shape | None = None, slot: int | None = None) -> "Document":
        """Return a document inside of this one; what it does not say of itself is as this one says."""
        known = self.slot if slot is None else slot
        within = self.within or within
        return Document(place.start, place.end, known, within, self.level + 1, self.is_of_block)


class Reading(Protocol):
    """A body on its way to transactions."""

    values: Values
    limits: ItemLimits
    rules: FeedRules
    shapes: Counter[str]
    """Documents by their shape."""
    skipped: Counter[str]

    def read(self, document: Document) -> Steps:
        """Read a document of any shape, an array, or null."""

    def fields(self, document: Document) -> Generator[None, None, Fields]:
        """Return the fields of a document that is an object; none of another."""

    def guarded(self, steps: Steps, document: Document) -> Steps:
        """Yield what a reader of one document yields, and in place of the error it raises what is wrong."""

    def check(self, document: Document) -> Iterator[None]:
        """Refuse a document that is no JSON, as others of its array may be without spoiling it."""

    def contents(self, document: Document) -> Generator[None, None, str]:
        """Return what a document is and has, for an error."""


class Known(NamedTuple):
    """A shape: how it is recognised, and how it is read."""

    shape: Shape | None
    """None for an envelope that is not counted."""
    is_envelope: bool
    fits: Callable[[Fields], bool]
    read: Callable[[Reading, Document, Fields], Steps]


def text_of(reading: Reading, document: Document) -> bytes:
    """Return a document as it was sent.

    Raises:
        InvalidItem: it is too long to be a transaction, or not UTF-8.
    """
    length, limits = document.end - document.start, reading.limits
    if length > limits.max_item_bytes:
        raise InvalidItem(error_messages.PAYLOAD_TOO_LONG.format(length, limits.max_payload_bytes))
    text = bytes(reading.values.text[document.start : document.end])
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError as error:
            raise malformed(error, text, document.start) from None
    return text


def transaction_of(reading: Reading, signature: str, slot: int | None, payload: bytes) -> Transaction:
    """Return a transaction of the feed.

    Raises:
        InvalidItem: its payload is too long, or nested too deeply.
    """
    limits = reading.limits
    check_payload(payload, limits)
    return Transaction(signature, limits.default_source, slot, msgspec.Raw(payload))


def members_of(
    reading: Reading, document: Document, *names: str
) -> Generator[None, None, dict[str, Element]]:
    """Return where those members of an object stand that have these names; null is as if it were missing.

    A generator: it yields wherever others may be served.

    Raises:
        InvalidItem: it is no object, a name is there twice, or another member is no JSON.
    """
    if first_of(reading, document) != b"{":
        raise InvalidItem(f"an object is expected here; it is {(yield from reading.contents(document))}")
    values, found = reading.values, dict[str, Element]()
    try:
        for member in values.members(document.start, document.end):
            if member is None:
                yield
            elif member.name not in names:
                if member.is_refused:
                    yield from reading.check(Document(member.start, member.end))
            elif member.name in found:
                raise InvalidItem(error_messages.KEY_TWICE.format(member.name))
            else:
                found[member.name] = Element(member.start, member.end)
    except Refused as refused:
        raise refused_item(refused, values, document) from None
    return {name: place for name, place in found.items() if not is_null(values.text, place)}


def refused_item(refused: Refused, values: Values, document: Document) -> InvalidItem:
    """Return what is wrong with a document that the parser refuses."""
    text = bytes(values.text[refused.start : min(document.end, refused.start + SHORT_BYTES)])
    return malformed(refused.error, text, refused.start)


def malformed(error: Exception, text: bytes, start: int) -> InvalidItem:
    """Return why the parser refuses a text that begins at `start` of the body, with its byte."""
    detail = explain(error, text).detail
    detail = _AT_BYTE.sub(lambda place: f"(byte {int(place[1]) + start})", detail)
    return InvalidItem(detail, is_malformed=True)


def value_of(reading: Reading, place: Element | None) -> bytes:
    """Return a short value as it stands, the beginning of one that is too long to be one; empty for none."""
    if place is None:
        return b""
    return bytes(reading.values.text[place.start : min(place.end, place.start + SHORT_BYTES)])


def first_of(reading: Reading, document: Document) -> bytes:
    """Return the first character of a document."""
    return bytes(reading.values.text[document.start : min(document.end, document.start + 1)])
