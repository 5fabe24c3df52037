"""Solana's own transactions: `{"transaction":{"signatures":["5nNt…"],"message":{…}},"meta":{…},"slot":5}`.

Helius' raw webhooks send it, `getTransaction` answers it, blocks are made of it. `transaction` may be written
out, or encoded: `["AbCd…","base64"]`. A subscription to transactions has all of that one level deeper, with
its slot and signature beside: `{"transaction":{"transaction":["AbCd…","base64"],"meta":{…}},"slot":5}`.
"""

from collections.abc import Generator

import msgspec
from msgspec import Raw

from app.decode.item import InvalidItem
from app.feeds.document import Document, Known, Reading, Steps, text_of, transaction_of
from app.feeds.shape_fields import Fields, fields_of, is_array, is_object, refuse_twice
from app.feeds.shape_names import Shape
from app.feeds.signatures import any_signature
from app.feeds.skipping import reason_to_skip
from app.feeds.slots import slot_of
from app.feeds.solana_wire import wire_bytes, wire_signature

_MARKS = b'"signatures"', b'"message"', b'"base64"', b'"base58"'
_list_decoder = msgspec.json.Decoder(list[Raw])


def fits(fields: Fields) -> bool:
    """Tell whether an object is one: somewhere in its `transaction` stands what only Solana's have.

    Looking for that takes a quarter of the time of another parse.
    """
    if not is_object(fields.transaction) and not is_array(fields.transaction):
        return False
    text = bytes(fields.transaction)
    return any(mark in text for mark in _MARKS)


def read(reading: Reading, document: Document, fields: Fields) -> Steps:
    """Yield the transaction; its payload is the document."""
    text = text_of(reading, document)
    yield from refuse_twice(text, "transaction", "slot")
    body, inner = fields, fields_of(fields.transaction)
    if len(inner.transaction):
        yield from refuse_twice(bytes(fields.transaction), "transaction")
        body, inner = inner, fields_of(inner.transaction)
    reason = reason_to_skip(reading.rules, body.meta, body.transaction)
    if reason is not None:
        reading.skipped[reason] += 1
        return
    slot = slot_of(fields.slot)
    signature = yield from _first_signature(body.transaction, inner)
    yield transaction_of(reading, signature, document.slot if slot is None else slot, text)


def _first_signature(transaction: Raw, fields: Fields) -> Generator[None, None, str]:
    """Return the first signature of a transaction with these fields, which is the one it is known by.

    A generator: it yields wherever others may be served.

    Raises:
        InvalidItem: it has none.
    """
    wire = wire_bytes(transaction)
    if wire is not None:
        return wire_signature(wire)
    yield from refuse_twice(bytes(transaction), "signatures")
    if not len(fields.signatures):
        raise InvalidItem("transaction.signatures is missing")
    try:
        listed = _list_decoder.decode(fields.signatures)
    except (ValueError, RecursionError):
        raise InvalidItem("transaction.signatures: an array of signatures") from None
    if not listed:
        raise InvalidItem("transaction.signatures is empty: a transaction has one at least")
    return any_signature(listed[0], "transaction.signatures[0]")


KNOWN = Known(Shape.SOLANA_TRANSACTION, is_envelope=False, fits=fits, read=read)
