"""What a subscription to logs sends of a transaction: `{"signature":"5h6x…","err":null,"logs":["Prog…"]}`."""

from app.feeds.document import Document, Known, Reading, Steps, text_of, transaction_of
from app.feeds.feed_rules import FAILED
from app.feeds.shape_fields import Fields, is_array, is_given, refuse_twice
from app.feeds.shape_names import Shape
from app.feeds.signatures import plain_signature


def fits(fields: Fields) -> bool:
    """Tell whether an object is one."""
    return len(fields.signature) > 0 and is_array(fields.logs) and not len(fields.payload)


def read(reading: Reading, document: Document, fields: Fields) -> Steps:
    """Yield the transaction; its slot is that of the notification."""
    text = text_of(reading, document)
    yield from refuse_twice(text, "signature")
    if FAILED in reading.rules.skip and is_given(fields.err):
        reading.skipped[FAILED] += 1
        return
    yield transaction_of(reading, plain_signature(fields.signature), document.slot, text)


KNOWN = Known(Shape.JSON_RPC, is_envelope=False, fits=fits, read=read)
