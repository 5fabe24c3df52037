"""Solana's blocks: `{"blockhash":"GdY1…","parentSlot":99999999,"transactions":[{…},…]}`.

A block does not say its own slot. A subscription to blocks says it beside the block, as does a provider that
adds `slot`; without either, its transactions have none. `parentSlot` may be any number of slots before, and
`blockHeight` counts blocks, of which there are fewer.
"""

from app.decode.item import InvalidItem
from app.feeds.document import Document, Known, Reading, Steps, members_of, value_of
from app.feeds.shape_fields import Fields, refuse_beside
from app.feeds.shape_names import Shape
from app.feeds.slots import slot_of


def fits(fields: Fields) -> bool:
    """Tell whether an object is one."""
    return len(fields.blockhash) > 0 and (len(fields.transactions) > 0 or len(fields.signatures) > 0)


def read(reading: Reading, document: Document, fields: Fields) -> Steps:
    """Yield the transactions of the block; the payload of each is its own text."""
    refuse_beside(fields, "transactions" if len(fields.transactions) else "signatures")
    found = yield from members_of(reading, document, "transactions", "signatures", "slot")
    slot = slot_of(value_of(reading, found.get("slot")))
    place = found.get("transactions")
    if place is None:
        if "signatures" in found:
            raise InvalidItem("the block has signatures only; ask for transactionDetails full")
        return  # they are null
    if reading.values.text[place.start : place.start + 1] != b"[":
        raise InvalidItem("transactions: an array")
    yield from reading.read(document.inner(place, Shape.SOLANA_BLOCK, slot)._replace(is_of_block=True))


KNOWN = Known(Shape.SOLANA_BLOCK, is_envelope=True, fits=fits, read=read)
