"""From the bytes of a body to transactions, each item judged by itself.

Items are decoded from their own slice, so `payload` keeps its bytes and one bad item spoils no other.
"""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, islice

import msgspec

from app.errors import BodyTooLarge, ClientError, InvalidRequest, MalformedBody
from app.ingest.explain import explain
from app.ingest.split import SPACE, split_array
from app.models import DEFAULT_SOURCE, Transaction

_NULL = msgspec.Raw(b"null")
_KEYS = tuple(b'"%s"' % name.encode() for name in Transaction.__struct_fields__)
_BARE_BYTES, _SOURCE_BYTES = len('{"signature":""}'), len(',"source":""')
_SLOT_BYTES, _PAYLOAD_BYTES = len(',"slot":'), len(',"payload":')
_STRUCTURE = b'"[]{}'
_ESCAPE = re.compile(rb"\\.")
_NOT_STRUCTURE = bytes(set(range(256)) - set(_STRUCTURE))
_AS_BRACKETS = bytes.maketrans(b"{}", b"[]")
_STEP = {ord("["): 1, ord("]"): -1}.__getitem__
_INNER_LEVELS = 8
_MAX_COMMAS = 200_000
_MIN_BYTES_A_COMMA = 24
_item_decoder = msgspec.json.Decoder(Transaction)
_array_decoder = msgspec.json.Decoder(list[msgspec.Raw])


class InvalidItem(ValueError):
    """One item is not a transaction; `str()` says what is wrong and where.

    `is_malformed` when it is not even JSON: alone in a body that is 400 instead of 422.
    """

    def __init__(self, detail: str, *, is_malformed: bool = False) -> None:
        super().__init__(detail)
        self.is_malformed = is_malformed

    def as_http_error(self) -> ClientError:
        """What it means for a body that holds nothing else."""
        return MalformedBody(str(self)) if self.is_malformed else InvalidRequest(str(self))


@dataclass(frozen=True)
class ItemLimits:
    """Bytes and nesting of a payload, and the source of items that name none."""

    max_payload_bytes: int
    max_payload_depth: int
    default_source: str = DEFAULT_SOURCE

    @property
    def max_item_bytes(self) -> int:
        """A line or item longer than this cannot be valid: the other fields take 4 KiB at most."""
        return self.max_payload_bytes + 4096


Judged = Transaction | InvalidItem


def decode_item(raw: bytes | memoryview, limits: ItemLimits) -> Transaction:
    """Decode one transaction.

    Raises:
        InvalidItem: it is not one, with the field at fault.
    """
    if len(raw) > limits.max_item_bytes:
        raise InvalidItem(f"the item has {len(raw)} bytes; its payload may have {limits.max_payload_bytes}")
    raw = bytes(raw)
    try:
        if not raw.isascii():
            raw.decode()
        item = _item_decoder.decode(raw)
    except (ValueError, RecursionError) as error:
        detail, is_malformed = explain(error, raw)
        raise InvalidItem(detail, is_malformed=is_malformed) from None
    payload = bytes(item.payload)
    _check_payload(payload, limits)
    if len(raw) != _least_bytes(item):
        _check_keys(raw, payload)
    if item.source is None:
        item.source = limits.default_source
    return item


def judge_item(raw: bytes | memoryview, limits: ItemLimits) -> Judged:
    """The same, with the error as a value."""
    try:
        return decode_item(raw, limits)
    except InvalidItem as error:
        # A new one: the one raised holds, through its traceback, the item and whoever holds it in turn.
        return InvalidItem(str(error), is_malformed=error.is_malformed)


def may_hold_many(body: bytes, max_items: int) -> bool:
    """Whether so much more than allowed may be in it that its items are better found one by one.

    A list of millions would be made before their number is known.
    """
    commas = body.count(b",")
    return commas > max_items and (commas > _MAX_COMMAS or commas * _MIN_BYTES_A_COMMA > len(body))


def array_items(body: bytes, max_items: int) -> Sequence[msgspec.Raw | bytes]:
    """The items of a JSON array, each as it stands.

    Raises:
        MalformedBody: the array itself cannot be read, with the byte at fault.
        BodyTooLarge: more items than allowed, or too much in them to find out where they end.
    """
    items = _items(body, max_items)
    if len(items) > max_items:
        raise BodyTooLarge(f"the array has more than {max_items} items: split it, or send NDJSON")
    return items


def _items(body: bytes, max_items: int) -> Sequence[msgspec.Raw | bytes]:
    """The items as they stand, one more than allowed at the most if there are too many."""
    if not may_hold_many(body, max_items):
        with suppress(ValueError, RecursionError):
            return _array_decoder.decode(body)
    return list(islice(split_array(body), max_items + 1))


def is_array(body: bytes) -> bool:
    """Whether the first character that is not white space opens an array.

    Raises:
        MalformedBody: there is none.
        InvalidRequest: it opens neither an array nor an object.
    """
    first = body[:64].lstrip(SPACE)[:1] or body.lstrip(SPACE)[:1]
    if not first:
        raise MalformedBody("the body is empty; send one transaction object, or an array of them")
    if first not in b"[{":
        _refuse_scalar(body)
    return first == b"["


def _refuse_scalar(body: bytes) -> None:
    try:
        msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise MalformedBody(explain(error, body).detail) from None
    raise InvalidRequest("the body is JSON, but neither one transaction object nor an array of them")


def _check_payload(payload: bytes, limits: ItemLimits) -> None:
    if len(payload) > limits.max_payload_bytes:
        raise InvalidItem(f"payload has {len(payload)} bytes, {limits.max_payload_bytes} are allowed")
    if nested := depth_above(payload, limits.max_payload_depth):
        raise InvalidItem(f"payload is nested {nested} deep, {limits.max_payload_depth} are allowed")


def depth_above(payload: bytes, most: int) -> int:
    """Nesting of valid JSON if it is above `most`, else 0; for nearly all it is enough to count brackets."""
    if payload.count(b"{") + payload.count(b"[") <= most:
        return 0
    nested = depth(payload)
    return nested if nested > most else 0


def depth(payload: bytes) -> int:
    """Nesting of valid JSON, without building it: only its brackets stay.

    The innermost go level by level, which is all there is of usual payloads. What is deeper is counted
    bracket by bracket, so that the cost grows with the bytes and not with the levels.
    """
    if b"\\" in payload:
        payload = _ESCAPE.sub(b"", payload)
    structure = payload.translate(_AS_BRACKETS, _NOT_STRUCTURE)
    levels = structure.replace(b'""', b"")
    if b'"' in levels:  # there are brackets in strings
        levels = b"".join(structure.split(b'"')[::2])
    inner = 0
    while levels and inner < _INNER_LEVELS:
        levels = levels.replace(b"[]", b"")
        inner += 1
    return inner + max(accumulate(map(_STEP, levels)), default=0)


def _least_bytes(item: Transaction) -> int:
    """How many bytes an item takes at least that says just this; one of so many has no key twice."""
    source, slot, payload = item.source, item.slot, len(item.payload)
    return (
        _BARE_BYTES
        + len(item.signature)
        + (_SOURCE_BYTES + len(source) if source else 0)
        + (_SLOT_BYTES + len(str(slot)) if slot is not None else 0)
        + (_PAYLOAD_BYTES + payload if item.payload != _NULL else 0)
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
    pairs: list[tuple[str, object]] = []

    def keep(found: list[tuple[str, object]]) -> None:
        pairs[:] = found

    try:
        json.loads(raw, object_pairs_hook=keep, parse_int=len, parse_float=len)
    except RecursionError:
        raise InvalidItem("JSON is nested too deeply") from None
    names = [name for name, _ in pairs]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InvalidItem(f"key given twice: {', '.join(sorted(twice))}")
