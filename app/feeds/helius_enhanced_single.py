"""Helius' enhanced transactions: `{"signature":"5nNt…","slot":171942732,"type":"NFT_SALE","fee":10000,…}`.

Their `source` is a program such as MAGIC_EDEN, and says nothing of the feed. Here one document is read at a
time, whether it stands alone or in an array. Short arrays in which every document is valid do not come here:
helius_enhanced_fast_array.py reads them in one go.
"""

from app.feeds.document import Document, Known, Reading, Steps, text_of, transaction_of
from app.feeds.feed_rules import FAILED, VOTES, FeedRules
from app.feeds.shape_fields import Fields, is_given, refuse_twice
from app.feeds.shape_names import Shape
from app.feeds.signatures import plain_signature
from app.feeds.skipping import has_only_votes
from app.feeds.slots import slot_of


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
    yield from refuse_twice(text, "signature", "slot", inside=fields.events)
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
