"""Recognises the shape of a document by the fields it has.

What provider_body.py can decode in one go, or cut without looking inside, does not come here: arrays of
Helius' enhanced transactions, and blocks and arrays of Solana's.
"""

from app.feeds import (
    helius_enhanced_single,
    json_rpc,
    logs_subscription,
    quicknode_streams_envelope,
    solana_block,
    solana_transaction,
    tidegate_item,
    yellowstone,
)
from app.feeds.document import Known
from app.feeds.shape_fields import NO_FIELDS, Fields

# The first that fits: a transaction of Solana may have a signature beside, and so may look like an item.
_KNOWN = (
    json_rpc.KNOWN,
    solana_block.KNOWN,
    yellowstone.KNOWN,
    solana_transaction.KNOWN,
    logs_subscription.KNOWN,
    helius_enhanced_single.KNOWN,
    tidegate_item.KNOWN,
    quicknode_streams_envelope.KNOWN,
)


def recognised(fields: Fields) -> Known | None:
    """Return the shape of an object with these fields, None if it has no known one."""
    # A body may have 200,000 of `{"a":1}`, and asking each shape takes twenty times as long as this.
    if fields == NO_FIELDS:
        return None
    for known in _KNOWN:
        if known.fits(fields):
            return known
    return None
