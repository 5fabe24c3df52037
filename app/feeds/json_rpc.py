"""JSON-RPC: answers such as `{"jsonrpc":"2.0","id":1,"result":{…}}`, and notifications of subscriptions.

A notification has its result one level deeper, `{"method":"blockNotification","params":{"result":{…}}}`, and
most of them a value with its context: `{"context":{"slot":5},"value":{"slot":5,"err":null,"block":{…}}}`.
"""

from collections.abc import Generator

import msgspec

from app.decode.item import InvalidItem
from app.feeds.document import Document, Known, Reading, Steps, first_of, members_of, value_of
from app.feeds.json_values import Element
from app.feeds.shape_fields import Fields, fields_of, is_object, refuse_beside
from app.feeds.shape_names import Shape
from app.feeds.slots import slot_of

# A slot in which no block was made, and one of which the node keeps none: nothing is missing.
_SKIPPED_SLOT_CODES = frozenset((-32007, -32009))
_MOST_MESSAGE_CHARS = 200


class _Error(msgspec.Struct, gc=False):
    code: int = 0
    message: str = ""


_error_decoder = msgspec.json.Decoder(_Error)


def fits(fields: Fields) -> bool:
    """Tell whether an object is an answer or a notification."""
    is_answer = len(fields.id) > 0 and (len(fields.result) > 0 or len(fields.error) > 0)
    return len(fields.jsonrpc) > 0 or is_answer or (len(fields.method) > 0 and is_object(fields.params))


def read(reading: Reading, document: Document, fields: Fields) -> Steps:
    """Yield the transactions of the result; null and what only acknowledges hold none."""
    found = yield from members_of(reading, document, "result", "params", "error", "method")
    if "error" in found:
        _refuse_error(value_of(reading, found["error"]))
        refuse_beside(fields, "error")
        return
    taken = "params" if "params" in found and "result" not in found else "result"
    if len(getattr(fields, taken)):
        refuse_beside(fields, taken)
    if "result" in found:
        yield from _read_result(reading, document.inner(found["result"], Shape.JSON_RPC))
    elif "params" in found:
        inner = document.inner(found["params"], Shape.JSON_RPC)
        if first_of(reading, inner) != b"{":
            raise InvalidItem("a JSON-RPC request, which holds no transaction; send its answer")
        params = yield from members_of(reading, inner, "result")
        if "result" in params:
            yield from _read_result(reading, inner.inner(params["result"]), is_delivery=True)
        elif not len((yield from reading.fields(inner)).result):  # else it is null
            raise InvalidItem(f"params has no result; it is {(yield from reading.contents(inner))}")
    elif not len(fields.result) and (bytes(fields.data) != b"null" or len(fields.transactions)):
        # `{"jsonrpc":"2.0","data":null}` brings nothing.
        raise InvalidItem(f"the answer has no result; it is {(yield from reading.contents(document))}")


def _refuse_error(raw: bytes) -> None:
    try:
        error = _error_decoder.decode(raw)
    except (ValueError, RecursionError):
        error = _Error()
    if error.code not in _SKIPPED_SLOT_CODES:
        message = error.message[:_MOST_MESSAGE_CHARS]
        raise InvalidItem(f"the answer is an error, {error.code}: {message!r}, and holds no transaction")


def _read_result(reading: Reading, document: Document, *, is_delivery: bool = False) -> Steps:
    if first_of(reading, document) == b"{":
        fields = yield from reading.fields(document)
        if len(fields.context) and len(fields.value):
            value = yield from _value_of(reading, document)
            if value.end > value.start:  # else it is null
                yield from reading.read(value)
            return
    # `"result":"0xc3"` of an answer acknowledges a subscription; that of a notification is what it brings.
    if is_delivery or first_of(reading, document) in (b"{", b"["):
        yield from reading.read(document)


def _value_of(reading: Reading, document: Document) -> Generator[None, None, Document]:
    """Return what a result has with its context: a value, or the block that is in it."""
    found = yield from members_of(reading, document, "context", "value")
    context = value_of(reading, found.get("context"))
    slot = slot_of(fields_of(context).slot)
    nothing = Element(document.end, document.end)
    value = document.inner(found.get("value", nothing), slot=slot)
    if first_of(reading, value) != b"{":
        return value
    fields = yield from reading.fields(value)
    if not len(fields.block):
        return value
    inside = yield from members_of(reading, value, "block", "slot")
    slot = slot_of(value_of(reading, inside.get("slot")))
    return value.inner(inside.get("block", nothing), slot=slot)


KNOWN = Known(Shape.JSON_RPC, is_envelope=True, fits=fits, read=read)
