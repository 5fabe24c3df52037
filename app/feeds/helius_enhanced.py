"""Helius' enhanced transactions: `{"signature":"5nNt…","slot":171942732,"type":"NFT_SALE","fee":10000,…}`.

Their `source` is a program such as MAGIC_EDEN, and says nothing of the feed.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from app.decode.columns import Columns
from app.decode.item import ItemLimits, depth_above
from app.feeds.document import Document, Known, Reading, Steps, text_of, transaction_of
from app.feeds.fields import Fields, has_plain_names, is_given, refuse_twice
from app.feeds.rules import FAILED, VOTES, FeedRules
from app.feeds.shapes import Shape
from app.feeds.signatures import are_signatures, plain_signature
from app.feeds.skipping import has_only_votes
from app.feeds.slots import MAX_SLOT, slot_of

MOST_QUICK_BYTES = 512 * 1024
"""Longer arrays are read document by document, so that others can be served between."""


def fits(fields: Fields) -> bool:
    """Tell whether an object is one: it has a signature, and what Helius adds."""
    return len(fields.signature) > 0 and any(
        map(
            len,
            (
                fields.type,
                fields.fee,
                fields.account_data,
                fields.fee_payer,
                fields.native_transfers,
                fields.token_transfers,
            ),
        )
    )


def read(reading: Reading, document: Document, fields: Fields) -> Steps:
    """Yield the transaction; its payload is the document."""
    text = text_of(reading, document)
    refuse_twice(text, "signature", "slot", inside=fields.events)
    reason = _reason_to_skip(reading.rules, fields)
    if reason is not None:
        reading.skipped[reason] += 1
        return
    slot = slot_of(fields.slot)
    signature = plain_signature(fields.signature)
    yield transaction_of(reading, signature, document.slot if slot is None else slot, text)


def _reason_to_skip(rules: FeedRules, fields: Fields) -> str | None:
    if FAILED in rules.skip and is_given(fields.transaction_error):
        return FAILED
    if VOTES in rules.skip and has_only_votes(fields.instructions):
        return VOTES
    return None


KNOWN = Known(Shape.HELIUS_ENHANCED, is_envelope=False, fits=fits, read=read)


class _Enhanced(msgspec.Struct, gc=False):
    """What the quick way reads of a document."""

    signature: str
    type: str
    slot: int | None = None
    events: Raw = Raw()
    payload: Raw = Raw()
    transaction: Raw = Raw()


_SIGNATURE, _SLOT = b'"signature"', b'"slot"'
_slices_decoder = msgspec.json.Decoder(list[Raw])
_documents_decoder = msgspec.json.Decoder(list[_Enhanced])


def read_array(body: bytes, limits: ItemLimits) -> Columns | None:
    """Return the transactions of an array of nothing but valid enhanced documents, as Helius sends them.

    None for any other array, and wherever the slow way has to look: in an array of 50 the names `signature`
    and `slot` stand 50 times each outside of `events`, or one of them may be twice in a document.
    """
    try:
        documents = _documents_decoder.decode(body)
        slices = _slices_decoder.decode(body)
    except (ValueError, RecursionError):
        return None
    signatures = [document.signature for document in documents]
    slots = [document.slot for document in documents]
    is_clear = (
        len(documents) > 0
        and has_plain_names(body)
        and _times(body, _SIGNATURE, documents) == len(documents)
        and _times(body, _SLOT, documents) <= len(documents)
        and not any(len(document.payload) or len(document.transaction) for document in documents)
        and all(slot is not None and 0 <= slot <= MAX_SLOT for slot in slots)
        and are_signatures(signatures)
        and max(map(len, slices)) <= limits.max_payload_bytes
        and not any(depth_above(bytes(payload), limits.max_payload_depth) for payload in slices)
        and _is_utf8(body)
    )
    return Columns(signatures, [limits.default_source] * len(signatures), slots, slices) if is_clear else None


def _times(body: bytes, name: bytes, documents: Sequence[_Enhanced]) -> int:
    """Return how often a name stands in the array outside of `events`, which tells a sale once more."""
    times = body.count(name)
    if times > len(documents):
        times -= sum(bytes(document.events).count(name) for document in documents)
    return times


def _is_utf8(body: bytes) -> bool:
    try:
        return body.isascii() or bool(body.decode())
    except UnicodeDecodeError:
        return False
