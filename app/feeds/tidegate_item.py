"""Tidegate's own items, `{"signature":"A","slot":5,"payload":{…}}`, sent to a feed."""

from app.decode.item import decode_item
from app.feeds.document import Document, Known, Reading, Steps, text_of
from app.feeds.shape_fields import Fields
from app.feeds.shape_names import Shape


def fits(fields: Fields) -> bool:
    """Tell whether an object is an item: whatever else has a signature was recognised before."""
    return len(fields.signature) > 0


def read(reading: Reading, document: Document, fields: Fields) -> Steps:  # noqa: ARG001  # every shape has them
    """Yield the item as a transaction of the feed, whatever source it names."""
    item = decode_item(text_of(reading, document), reading.limits)
    item.source = reading.limits.default_source
    if item.slot is None:
        item.slot = document.slot
    yield item


KNOWN = Known(Shape.ITEM, is_envelope=False, fits=fits, read=read)
