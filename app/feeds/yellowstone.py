"""JSON of updates that Yellowstone sends over gRPC, which a forwarder writes of the protobuf it gets.

A transaction has three levels, and a forwarder may leave out the outer ones:

    {"filters": ["client"], "createdAt": "2025-…",
     "transaction": {"slot": "378215733",
                     "transaction": {"signature": "sk3B…==", "isVote": false, "transaction": {…}}}}

Its payload is the value with the slot, as a subscription of JSON-RPC has it. Names are those of protobuf or
of its JSON, `is_vote` or `isVote`. Updates of slots and accounts, and pings, hold no transaction.
"""

from msgspec import Raw

from app.decode.item import InvalidItem
from app.feeds.document import Document, Known, Reading, Steps, members_of, text_of, transaction_of, value_of
from app.feeds.feed_rules import FAILED, VOTES
from app.feeds.shape_fields import (
    NO_FIELDS,
    Fields,
    fields_of,
    is_array,
    is_given,
    is_object,
    refuse_beside,
    refuse_twice,
)
from app.feeds.shape_names import Shape
from app.feeds.signatures import any_signature
from app.feeds.skipping import has_failed
from app.feeds.slots import slot_of

# Rust and Go write the name of the variant. A transaction that is not run yet comes under a name of its own.
_TRANSACTION, _BLOCK, _UPDATE = (
    ("transaction", "Transaction", "deshredTransaction", "deshred_transaction", "DeshredTransaction"),
    ("block", "Block"),
    ("update_oneof", "updateOneof", "UpdateOneof"),
)
_WITHOUT_TRANSACTIONS = (
    *("slot", "account", "entry", "ping", "pong", "block_meta", "blockMeta"),
    *("transaction_status", "transactionStatus"),
    *("Slot", "Account", "Entry", "Ping", "Pong", "BlockMeta", "TransactionStatus"),
)

_KINDS = (
    "transaction",
    "deshred",
    "deshred_snake",
    "block",
    "slot",
    "account",
    "entry",
    "block_meta",
    "block_meta_snake",
    "transaction_status",
    "transaction_status_snake",
)


def fits(fields: Fields) -> bool:
    """Tell whether an object is an update, or the part of one that has the transaction."""
    return (
        _is_update(fields)
        or _is_info(fields)
        or (b'"signature"' in bytes(fields.transaction) and _is_info(fields_of(fields.transaction)))
    )


def _is_update(fields: Fields) -> bool:
    """Tell whether an object is the outermost of the three levels, of whatever kind of update."""
    if len(fields.signature):
        return False
    is_dated = len(fields.created_at) > 0 or len(fields.created_at_snake) > 0
    return (
        is_array(fields.filters)
        or len(fields.update_oneof) > 0
        or len(fields.update_oneof_snake) > 0
        or is_object(fields.ping)
        or is_object(fields.pong)
        or (is_dated and any(map(is_object, (getattr(fields, kind) for kind in _KINDS))))
    )


def _is_info(fields: Fields) -> bool:
    """Tell whether an object is the innermost of the three levels."""
    return (
        is_given(fields.signature)
        and is_object(fields.transaction)
        and any(map(len, (fields.is_vote, fields.is_vote_snake, fields.index)))
    )


def read(reading: Reading, document: Document, fields: Fields) -> Steps:
    """Yield the transactions of the update."""
    if _is_info(fields):
        yield from _read_info(reading, document, document, fields)
        return
    found = yield from members_of(reading, document, *_TRANSACTION, *_BLOCK, *_UPDATE, *_WITHOUT_TRANSACTIONS)
    if found:
        refuse_beside(fields, next(iter(found)))
    for name in _UPDATE:
        if name in found:
            inner = document.inner(found[name], Shape.YELLOWSTONE)
            found = yield from members_of(reading, inner, *_TRANSACTION, *_BLOCK, *_WITHOUT_TRANSACTIONS)
            document = inner
    places = [found[name] for name in _WITHOUT_TRANSACTIONS if name in found]
    is_of_others = any(reading.values.text[place.start : place.start + 1] == b"{" for place in places)
    if not is_of_others and found.keys().isdisjoint((*_TRANSACTION, *_BLOCK)):
        raise InvalidItem(f"an update of no known kind; it is {(yield from reading.contents(document))}")
    for name in _TRANSACTION:
        if name in found:
            yield from _read_transaction(reading, document, document.inner(found[name], Shape.YELLOWSTONE))
    for name in _BLOCK:
        if name in found:
            yield from _read_block(reading, document.inner(found[name], Shape.YELLOWSTONE))


def _read_transaction(reading: Reading, outer: Document, document: Document) -> Steps:
    """Yield the transaction of the value of a member of that name: the second level, or the third."""
    fields = yield from reading.fields(document)
    if _is_info(fields):
        slot = (yield from reading.fields(outer)).slot
        yield from _read_info(reading, outer._replace(slot=slot_of(slot)), document, fields)
        return
    found = yield from members_of(reading, document, "transaction", "slot")
    if "transaction" not in found:
        raise InvalidItem("transaction.transaction is missing")
    inner = document.inner(found["transaction"], slot=slot_of(value_of(reading, found.get("slot"))))
    info = yield from reading.fields(inner)
    yield from _read_info(reading, document._replace(slot=inner.slot), inner, info)


def _read_block(reading: Reading, document: Document) -> Steps:
    found = yield from members_of(reading, document, "transactions", "slot")
    if "transactions" in found:
        slot = slot_of(value_of(reading, found.get("slot")))
        yield from reading.read(document.inner(found["transactions"], slot=slot))


def _read_info(reading: Reading, whole: Document, document: Document, fields: Fields) -> Steps:
    """Yield one transaction: `document` is the innermost level, `whole` what becomes the payload."""
    yield from reading.check(whole)
    yield from refuse_twice(text_of(reading, document), "signature")
    reason = _reason_to_skip(reading, fields)
    if reason is not None:
        reading.skipped[reason] += 1
        return
    signature = any_signature(fields.signature)
    yield transaction_of(reading, signature, whole.slot, text_of(reading, whole))


def _reason_to_skip(reading: Reading, fields: Fields) -> str | None:
    skip = reading.rules.skip
    meta: Raw = fields.meta if len(fields.meta) else _inner(fields.transaction).meta
    if FAILED in skip and has_failed(meta):
        return FAILED
    if VOTES in skip and b"true" in (bytes(fields.is_vote), bytes(fields.is_vote_snake)):
        return VOTES
    return None


def _inner(transaction: Raw) -> Fields:
    return fields_of(transaction) if is_object(transaction) else NO_FIELDS


KNOWN = Known(Shape.YELLOWSTONE, is_envelope=True, fits=fits, read=read)
