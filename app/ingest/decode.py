"""From the bytes of a body to transactions, each item judged by itself.

Items are decoded from their own slice, so `payload` keeps its bytes and one bad item spoils no other.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import msgspec

from app.errors import BodyTooLarge, ClientError, InvalidRequest, MalformedBody
from app.models import DEFAULT_SOURCE, Transaction

_KEYS = tuple(b'"%s"' % name.encode() for name in Transaction.__struct_fields__)
_STRUCTURE = b'"[]{}'
_ESCAPE = re.compile(rb"\\.")
_NOT_STRUCTURE = bytes(set(range(256)) - set(_STRUCTURE))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_RULES = {
    "signature": "signature: 1 to 128 visible ASCII characters without space",
    "source": "source: 1 to 64 of A-Z a-z 0-9 . _ : -",
    "slot": "slot: an integer from 0 to 9223372036854775807, or null",
}
_item_decoder = msgspec.json.Decoder(Transaction)
_array_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_keys_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_scanner = json.JSONDecoder()
_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
)
_CUT_OFF = "Input data was truncated"
_MAX_NAMED = 10


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
        raw.decode()
        item = _item_decoder.decode(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidItem(
            _explain(error, raw), is_malformed=not isinstance(error, msgspec.ValidationError)
        ) from None
    _check_payload(bytes(item.payload), limits)
    _check_keys(raw, bytes(item.payload))
    if item.source is None:
        item.source = limits.default_source
    return item


def judge_item(raw: bytes | memoryview, limits: ItemLimits) -> Judged:
    """The same, with the error as a value."""
    try:
        return decode_item(raw, limits)
    except InvalidItem as error:
        return error


def decode_array(body: bytes, max_items: int, limits: ItemLimits) -> list[Judged]:
    """Decode a JSON array of transactions.

    Raises:
        MalformedBody: the array itself cannot be read, with the byte at fault.
        BodyTooLarge: more items than allowed.
    """
    try:
        raws: list[msgspec.Raw] | list[bytes] = _array_decoder.decode(body)
    except (ValueError, RecursionError) as error:
        raws = list(_split_leniently(body, max_items, error))
    if len(raws) > max_items:
        raise BodyTooLarge(
            f"the array has {len(raws)} items, {max_items} are allowed: split it, or send NDJSON"
        )
    return [judge_item(memoryview(raw), limits) for raw in raws]


def is_array(body: bytes) -> bool:
    """Whether the first character that is not white space opens an array.

    Raises:
        MalformedBody: there is none.
        InvalidRequest: it opens neither an array nor an object.
    """
    first = body[:64].lstrip()[:1] or body.lstrip()[:1]
    if not first:
        raise MalformedBody("the body is empty; send one transaction object, or an array of them")
    if first not in b"[{":
        _refuse_scalar(body)
    return first == b"["


def _refuse_scalar(body: bytes) -> None:
    try:
        msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise MalformedBody(_explain(error, body)) from None
    raise InvalidRequest("the body is JSON, but neither one transaction object nor an array of them")


def _split_leniently(body: bytes, max_items: int, cause: Exception) -> Iterator[bytes]:
    """Find the items of an array in which something is not strict JSON (NaN, a lone surrogate, bad UTF-8).

    The standard library's scanner takes those, so the rest of the batch is kept; what it cannot read
    either makes the whole body malformed.
    """
    text = body.decode(errors="surrogateescape")
    at = _skip_space(text, 0) + 1
    count = 0
    while True:
        try:
            start = _skip_space(text, at)
            _, end = _scanner.raw_decode(text, start)
        except (ValueError, RecursionError):
            raise MalformedBody(_explain(cause, body)) from None
        yield text[start:end].encode(errors="surrogateescape")
        count += 1
        at = _skip_space(text, end)
        if text[at : at + 1] == "]" and not text[at + 1 :].strip(" \t\n\r"):
            return
        if text[at : at + 1] != "," or count > max_items:
            raise MalformedBody(_explain(cause, body)) from None
        at += 1


def _skip_space(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\n", "\r"):
        at += 1
    return at


def _explain(error: Exception, raw: bytes) -> str:
    """What is wrong and where, in the words of the docs."""
    message = str(error)
    if isinstance(error, RecursionError):
        return "JSON is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"JSON is not UTF-8 (byte {error.start})"
    if isinstance(error, msgspec.ValidationError):
        return _explain_fields(message, raw)
    surrogate = _LONE_SURROGATE.search(raw) if "surrogate" in message or message == _CUT_OFF else None
    if surrogate:
        return f"JSON holds a lone surrogate (byte {surrogate.start()})"
    if message == _CUT_OFF:
        return f"JSON is cut off (byte {len(raw)})"
    return message


def _explain_fields(message: str, raw: bytes) -> str:
    if message.startswith("Object contains unknown field"):
        unknown = sorted(
            name[:64] for name in _keys_decoder.decode(raw).keys() - set(Transaction.__struct_fields__)
        )
        return (
            f"unknown fields: {', '.join(unknown[:_MAX_NAMED])}"
            if len(unknown) > 1
            else f"unknown field: {unknown[0]}"
        )
    what, _, path = message.partition(" - at `$.")
    field = path.rstrip("`")
    if field not in _RULES:
        return what
    return _RULES[field] if "regex" in what else f"{_RULES[field]}: {what}"


def _check_payload(payload: bytes, limits: ItemLimits) -> None:
    if len(payload) > limits.max_payload_bytes:
        raise InvalidItem(f"payload has {len(payload)} bytes, {limits.max_payload_bytes} are allowed")
    if payload.count(b"{") + payload.count(b"[") > limits.max_payload_depth:
        depth = _depth(payload)
        if depth > limits.max_payload_depth:
            raise InvalidItem(f"payload is nested {depth} deep, {limits.max_payload_depth} are allowed")


def _depth(payload: bytes) -> int:
    """Nesting of valid JSON, without building it: strings are cut out, the brackets summed up."""
    structure = _ESCAPE.sub(b"", payload).translate(None, _NOT_STRUCTURE)
    outside = b"".join(structure.split(b'"')[::2])
    return max(accumulate(_STEP[char] for char in outside if char in _STEP), default=0)


def _check_keys(raw: bytes, payload: bytes) -> None:
    """Refuse a key given twice (RFC 8259 section 4): two readers could see two signatures.

    Counting is enough for nearly every item; where a key's text is also a value, or is escaped, the
    item is parsed in full.
    """
    rest = raw.replace(payload, b"", 1)
    if b"\\" not in rest and all(rest.count(key) <= 1 for key in _KEYS):
        return
    pairs: list[tuple[str, object]] = []

    def keep(found: list[tuple[str, object]]) -> None:
        pairs[:] = found

    try:
        json.loads(raw, object_pairs_hook=keep)
    except RecursionError:
        raise InvalidItem("JSON is nested too deeply") from None
    names = [name for name, _ in pairs]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InvalidItem(f"key given twice: {', '.join(sorted(twice))}")
