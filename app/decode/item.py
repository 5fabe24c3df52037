"""Decodes one item of a body: from its bytes to a transaction, or to what is wrong with it.

Each is decoded from its own slice, so that one bad item spoils no other, and `payload` keeps the bytes that
were sent: `{"fee": 1.0}` comes back as `{"fee": 1.0}`. JSON lets a key stand twice, of which two readers may
take two values; such an item is refused. Its payload is bounded in bytes and in nesting.
"""

import json
from collections import Counter
from dataclasses import dataclass
from mmap import mmap

import msgspec

from app.decode import error_messages
from app.decode.array_scanner import SPACE
from app.decode.error_messages import explain
from app.decode.nesting_depth import depth
from app.decode.surrogates import Masked, masked
from app.errors import ClientError, InvalidRequest, MalformedBody
from app.models import DEFAULT_SOURCE, Transaction

NULL = msgspec.Raw(b"null")
_KEYS = tuple(b'"%s"' % name.encode() for name in Transaction.__struct_fields__)
# What an item and its further fields take at least beside their values, without white space.
ITEM_BYTES, QUOTES_BYTES, NULL_BYTES = len('{"signature":""}'), len('""'), len("null")
SOURCE_BYTES, SLOT_BYTES, PAYLOAD_BYTES = (len(f',"{name}":') for name in ("source", "slot", "payload"))
# An exception, its arguments, and what Python keeps of a text beside its characters.
INVALID_BYTES = 200
_item_decoder = msgspec.json.Decoder(Transaction)
_text_decoder = msgspec.json.Decoder(msgspec.Raw)


class InvalidItem(ValueError):
    """One item is not a transaction; `str()` says what is wrong and where.

    `is_malformed` when it is not even JSON: alone in a body that is 400 instead of 422.
    """

    # A body may hold 14,000. With a dictionary each, Python kept 30 MiB of its heap of small objects after
    # sixteen such bodies: what lived on among the dictionaries held all of it.
    __slots__ = ("is_malformed",)

    def __init__(self, detail: str, *, is_malformed: bool = False) -> None:
        super().__init__(detail)
        self.is_malformed = is_malformed

    @property
    def held_bytes(self) -> int:
        """Return about how many bytes the object takes, its sentence among them."""
        return INVALID_BYTES + len(str(self))

    def as_http_error(self) -> ClientError:
        """Return the error for a body that holds nothing else."""
        return MalformedBody(str(self)) if self.is_malformed else InvalidRequest(str(self))


@dataclass(frozen=True)
class ItemLimits:
    """Limits of bytes and of levels of a payload, and the source of items that name none."""

    max_payload_bytes: int
    max_payload_depth: int
    default_source: str = DEFAULT_SOURCE

    @property
    def max_item_bytes(self) -> int:
        """Return the bytes of the longest item that can be valid: the other fields take 4 KiB at most."""
        return self.max_payload_bytes + 4096


ItemResult = Transaction | InvalidItem


def decode_item(raw: bytes | mmap | memoryview, limits: ItemLimits) -> Transaction:
    """Decode one transaction.

    Raises:
        InvalidItem: it is not one, with the field at fault.
    """
    if len(raw) > limits.max_item_bytes:
        raw = _stripped(raw, limits)
    raw = bytes(raw)
    try:
        if not raw.isascii():
            raw.decode()
        item = _item_decoder.decode(raw)
    except (ValueError, RecursionError) as error:
        item = _decode_masked(raw, error)
    payload = bytes(item.payload)
    check_payload(payload, limits)
    if len(raw) != _least_bytes(item):
        _check_keys(raw, payload)
    if item.source is None:
        item.source = limits.default_source
    return item


def _stripped(raw: bytes | mmap | memoryview, limits: ItemLimits) -> bytes:
    """Return the item without white space around it; a mapped body has none."""
    text = raw[:].strip(SPACE) if isinstance(raw, bytes) else raw
    if len(text) > limits.max_item_bytes:
        raise _too_long(len(text), limits)
    return bytes(text)


def _too_long(length: int, limits: ItemLimits) -> InvalidItem:
    return InvalidItem(error_messages.ITEM_TOO_LONG.format(length, limits.max_payload_bytes))


def _decode_masked(raw: bytes, error: Exception) -> Transaction:
    """Decode what was refused again, lone surrogates in its payload allowed; if that fails too, say why."""
    found = None if isinstance(error, UnicodeDecodeError) else masked(raw)
    if found is None:
        raise _explained(error, raw) from None
    try:
        item = _item_decoder.decode(found.text)
    except (ValueError, RecursionError) as second:
        raise _explained(second, found.text) from None
    # Only once no key is there twice it is certain that what is masked is in this payload.
    _check_keys(found.text, bytes(item.payload))
    item.payload = _unmasked(raw, found, bytes(item.payload))
    return item


def _unmasked(raw: bytes, found: Masked, payload: bytes) -> msgspec.Raw:
    """Return the payload as it was sent; the first mask in it is the first in the whole text."""
    start = found.first - payload.index(found.mask)
    return msgspec.Raw(raw[start : start + len(payload)])


def _explained(error: Exception, raw: bytes) -> InvalidItem:
    detail, is_malformed = explain(error, raw)
    return InvalidItem(detail, is_malformed=is_malformed)


def try_decode_item(raw: bytes | memoryview | int, limits: ItemLimits) -> ItemResult:
    """Decode one transaction, and return what is wrong instead of raising it.

    Of an item that is too long there is only its length.
    """
    if isinstance(raw, int):
        return _too_long(raw, limits)
    try:
        return decode_item(raw, limits)
    except InvalidItem as error:
        # A new one: the one raised holds, through its traceback, the item and whoever holds it in turn.
        return InvalidItem(str(error), is_malformed=error.is_malformed)


def is_array(body: bytes | mmap, limits: ItemLimits) -> bool:
    """Tell whether the body, which has no white space around it, is an array and no object.

    Raises:
        MalformedBody: it is empty, or no JSON.
        InvalidRequest: it is JSON, but neither an array nor an object.
    """
    first = body[:1]
    if not first:
        raise MalformedBody("the body is empty; send one transaction object, or an array of them")
    if first not in b"[{":
        _refuse_scalar(bytes(body[: limits.max_item_bytes + 1]), limits)
    return first == b"["


def _refuse_scalar(start: bytes, limits: ItemLimits) -> None:
    """Refuse a body that begins like this; one that is too long for an item is not read to its end."""
    if len(start) <= limits.max_item_bytes or start[:1] not in b'"-0123456789':
        try:
            start.decode()
            _text_decoder.decode(start)
        except (ValueError, RecursionError) as error:
            found = masked(start)
            if found is None or not _is_json(found.text):
                raise MalformedBody(explain(error, start).detail) from None
    raise InvalidRequest("the body is neither one transaction object nor an array of them")


def _is_json(text: bytes) -> bool:
    try:
        _text_decoder.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def check_payload(payload: bytes, limits: ItemLimits) -> None:
    """Hold a payload, which is valid JSON, against the limits of bytes and of levels.

    Raises:
        InvalidItem: it is too long, or nested too deeply.
    """
    if len(payload) > limits.max_payload_bytes:
        raise InvalidItem(error_messages.PAYLOAD_TOO_LONG.format(len(payload), limits.max_payload_bytes))
    most = limits.max_payload_depth
    # Mostly there are fewer brackets than levels allowed.
    if payload.count(b"{") + payload.count(b"[") > most and (nested := depth(payload)) > most:
        raise InvalidItem(error_messages.NESTED_TOO_DEEP.format(nested, most))


def _least_bytes(item: Transaction) -> int:
    """Return how many bytes an item takes at least that says just this; one of so many has no key twice."""
    source, slot, payload = item.source, item.slot, len(item.payload)
    return (
        ITEM_BYTES
        + len(item.signature)
        + (SOURCE_BYTES + QUOTES_BYTES + len(source) if source else 0)
        + (SLOT_BYTES + len(str(slot)) if slot is not None else 0)
        + (PAYLOAD_BYTES + payload if item.payload != NULL else 0)
    )


def _check_keys(raw: bytes, payload: bytes) -> None:
    """Refuse a key given twice (RFC 8259 section 4): two readers could see two signatures.

    Counting is enough for nearly every item; where a key's text is also a value, or is escaped, the
    item is parsed in full.
    """
    length = len(raw) - len(payload) - 1
    is_last = raw.endswith(payload + b"}")
    rest = raw[:length] if is_last else raw.replace(payload, b'""', 1)
    if b"\\" not in rest and max(map(rest.count, _KEYS)) <= 1:
        return
    twice = _twice(rest + b'""}' if is_last else raw)
    if twice:
        raise InvalidItem(error_messages.KEY_TWICE.format(", ".join(sorted(twice))))


def _twice(text: bytes) -> set[str]:
    """Return the keys that an object has more than once."""
    pairs: list[tuple[str, object]] = []

    def keep(found: list[tuple[str, object]]) -> None:
        nonlocal pairs
        pairs = found  # those of the outermost object come last

    try:
        json.loads(text, object_pairs_hook=keep, parse_int=len, parse_float=len)
    except RecursionError:
        raise InvalidItem(error_messages.TOO_DEEP_TO_READ) from None
    # There are four names, so that five members are enough.
    names = Counter(name for name, _ in pairs[: len(_KEYS) + 1])
    return {name for name, times in names.items() if times > 1}
