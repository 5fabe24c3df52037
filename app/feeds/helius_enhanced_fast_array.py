"""The fast way through an array of Helius' enhanced transactions, which is what its webhooks send.

An array that is short and plainly valid is read in one go here. For any other the answer is None, and the
slow way reads it one document after the other (document_reader.py, with helius_enhanced_single.py for each).

Where a document ends is guessed and then proven. `[{"description":"…",…},{"description":"…",…}]` is cut
before every object that begins as the first one does; if a parser takes each part as a document of its own,
then it was cut between two documents. If not, a parser cuts the array, which takes longer.
"""

import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw, field

from app.decode.columns import Columns
from app.decode.item import ItemLimits
from app.decode.nesting_depth import are_nested_within
from app.feeds.feed_rules import FeedRules
from app.feeds.least_bytes import is_utf8, least_bytes_of, others_of
from app.feeds.shape_fields import has_plain_names, is_given
from app.feeds.signatures import are_signatures
from app.feeds.skipping import VOTE_PROGRAM
from app.feeds.slots import MAX_SLOT

MOST_QUICK_BYTES = 512 * 1024
"""Longer arrays are read document by document, so that others can be served between."""
MOST_QUICK_DOCUMENTS = 2_000
"""The proofs of 15,000 tiny ones take 30 ms; real ones have a kilobyte at least."""
_FIRST_NAME = re.compile(rb'\[(\{"[A-Za-z]{1,32}":)')
_VOTE_PROGRAM = VOTE_PROGRAM.encode()
_NO = Raw()
_READ_NAMES = b'"signature"', b'"slot"'
# Values of at least this many bytes are cut out of a document before names given twice are looked for: of
# shorter ones that takes longer than to look through them. `events` has a signature and a slot of its own,
# unless it is nearly empty.
_LONG_BYTES, _LEAST_EVENT_BYTES = 1024, 32


class _Enhanced(msgspec.Struct, gc=False):
    """A document's members, empty where one is missing."""

    signature: str
    slot: int
    type: Raw
    description: Raw = _NO
    source: Raw = _NO
    fee: Raw = _NO
    fee_payer: Raw = field(default=_NO, name="feePayer")
    timestamp: Raw = _NO
    token_transfers: Raw = field(default=_NO, name="tokenTransfers")
    native_transfers: Raw = field(default=_NO, name="nativeTransfers")
    account_data: Raw = field(default=_NO, name="accountData")
    transaction_error: Raw = field(default=_NO, name="transactionError")
    instructions: Raw = _NO
    events: Raw = _NO
    payload: Raw = _NO
    transaction: Raw = _NO


_OTHERS = others_of(_Enhanced, "signature", "slot")
_LEAST_BYTES = len('{"signature":"","slot":}')
_decoder = msgspec.json.Decoder(_Enhanced)
_array_decoder = msgspec.json.Decoder(list[_Enhanced])
_slices_decoder = msgspec.json.Decoder(list[Raw])


def read_enhanced_array(body: bytes, limits: ItemLimits, rules: FeedRules) -> Columns | None:
    """Return the transactions of an array of valid enhanced documents, None for any other array.

    None, too, for an array of which the feed's rules may leave something out.
    """
    parts = _guessed_parts(body)
    if len(parts) > MOST_QUICK_DOCUMENTS:
        return None
    documents = _decoded(parts)
    if documents is None:
        parts = _found_parts(body)
        documents = _decoded(parts)
    if not documents:
        return None
    signatures = [document.signature for document in documents]
    slots = [document.slot for document in documents]
    is_clear = (
        max(map(len, parts)) <= limits.max_payload_bytes
        and (not rules.skip or not _may_be_skipped(body, documents))
        # With such a member it is not plainly a document of Helius': recognise.py decides.
        and not any(len(document.payload) or len(document.transaction) for document in documents)
        and min(slots) >= 0
        and max(slots) <= MAX_SLOT
        and are_signatures(signatures)
        # No name that is read is there twice.
        and (
            _least_bytes(signatures, slots, documents) == sum(map(len, parts))
            or (has_plain_names(body) and all(map(_has_names_once, parts, documents)))
        )
        and are_nested_within(parts, limits.max_payload_depth)
        and is_utf8(body)
    )
    if not is_clear:
        return None
    return Columns(signatures, [limits.default_source] * len(parts), slots, list(map(Raw, parts)))


def _may_be_skipped(body: bytes, documents: Sequence[_Enhanced]) -> bool:
    """Tell whether any document may be a vote or a failed transaction, which rules may leave out."""
    return any(is_given(document.transaction_error) for document in documents) or _VOTE_PROGRAM in body


def _guessed_parts(body: bytes) -> list[bytes]:
    """Cut an array before each object that begins as the first one does."""
    first = _FIRST_NAME.match(body)
    if first is None or body[-1:] != b"]":
        return []
    border, start, parts = b"}," + first[1], 1, list[bytes]()
    while (at := body.find(border, start)) >= 0 and len(parts) <= MOST_QUICK_DOCUMENTS:
        parts.append(body[start : at + 1])
        start = at + 2
    parts.append(body[start:-1])
    return parts


def _found_parts(body: bytes) -> list[bytes]:
    """Return the elements of an array as a parser finds them."""
    try:
        # Refuses most other arrays at their first element, before a list is made of up to 250,000.
        _array_decoder.decode(body)
        slices = _slices_decoder.decode(body)
        return list(map(bytes, slices)) if len(slices) <= MOST_QUICK_DOCUMENTS else []
    except (ValueError, RecursionError):
        return []


def _decoded(parts: Sequence[bytes]) -> Sequence[_Enhanced] | None:
    try:
        return list(map(_decoder.decode, parts)) or None
    except (ValueError, RecursionError):
        return None


def _least_bytes(signatures: Sequence[str], slots: Sequence[int], documents: Sequence[_Enhanced]) -> int:
    """Return the least bytes that documents with just these members take (least_bytes.py)."""
    least = len(documents) * _LEAST_BYTES + sum(map(len, signatures)) + sum(map(len, map(str, slots)))
    return least + least_bytes_of(documents, _OTHERS)


def _has_names_once(text: bytes, document: _Enhanced) -> bool:
    """Tell whether `signature` and `slot` stand once in a document; False, too, where that is in doubt.

    Long values, whose objects have names of their own, are cut out first: some hundred bytes remain. If an
    equal value further inside is cut out instead, then the outer one remains: that makes a doubt at most.
    """
    for name, value, least in (
        (b'"accountData":', document.account_data, _LONG_BYTES),
        (b'"instructions":', document.instructions, _LONG_BYTES),
        (b'"events":', document.events, _LEAST_EVENT_BYTES),
    ):
        if len(value) < least:
            continue
        start = text.find(name) + len(name)
        start += text[start : start + 1] == b" "
        end = start + len(value)
        if text[start:end] == bytes(value):
            text = text[:start] + text[end:]
    return max(map(text.count, _READ_NAMES)) <= 1
