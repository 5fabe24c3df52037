"""An object around what a provider sends: QuickNode Streams' `{"data":[{block},…],"metadata":{…}}`."""

from app.feeds.document import Document, Known, Reading, Steps, members_of
from app.feeds.shape_fields import Fields, is_array, is_given, is_object, refuse_beside


def fits(fields: Fields) -> bool:
    """Tell whether an object is one: that of no other shape which has `data`.

    `{"data":null,"metadata":{…}}` is one that brings nothing; a null alone may be of any other shape.
    """
    is_nothing = len(fields.data) > 0 and not is_given(fields.data) and is_object(fields.metadata)
    return is_array(fields.data) or is_object(fields.data) or is_nothing


def read(reading: Reading, document: Document, fields: Fields) -> Steps:
    """Yield the transactions of what is inside."""
    refuse_beside(fields, "data")
    found = yield from members_of(reading, document, "data")
    if "data" in found:
        yield from reading.read(document.inner(found["data"]))


KNOWN = Known(None, is_envelope=True, fits=fits, read=read)
