"""Reads slots as providers write them: numbers, text, or the two halves of a protobuf integer."""

import re
from typing import Any

import msgspec

from app.decode.item import InvalidItem

MAX_SLOT = 2**63 - 1
_RULE = f"slot: an integer from 0 to {MAX_SLOT}, as a number, decimal or 0x… text"
_DECIMAL, _HEX = re.compile(r"[0-9]{1,20}\Z"), re.compile(r"0[xX][0-9a-fA-F]{1,20}\Z")
_MOST_BYTES = 200
_HALF = 2**32
_decoder = msgspec.json.Decoder()
_number_decoder = msgspec.json.Decoder(int)


def slot_of(raw: bytes | msgspec.Raw) -> int | None:
    """Return the slot of a JSON value, None if there is none or it is null.

    Raises:
        InvalidItem: it is no slot.
    """
    if not len(raw):
        return None
    try:
        slot: int | None = _number_decoder.decode(raw)
    except ValueError:
        slot = _decoded(bytes(raw))
    if slot is not None and not 0 <= slot <= MAX_SLOT:
        raise InvalidItem(_RULE)
    return slot


def _decoded(raw: bytes) -> int | None:
    if len(raw) > _MOST_BYTES:
        raise InvalidItem(_RULE)
    try:
        value = _decoder.decode(raw)
    except (ValueError, RecursionError):
        raise InvalidItem(_RULE) from None
    if value is None:
        return None
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, dict):
        return _of_halves(value)
    raise InvalidItem(_RULE)


def _of_text(text: str) -> int:
    if _DECIMAL.match(text):
        return int(text)
    if _HEX.match(text):
        return int(text, 16)
    raise InvalidItem(_RULE)


def _of_halves(halves: dict[str, Any]) -> int:
    """Join what JavaScript's protobuf writes of an integer of 64 bits, both halves perhaps negative.

    `{"low": -1, "high": 0, "unsigned": true}` is 4294967295.
    """
    low, high = halves.get("low"), halves.get("high")
    if type(low) is not int or type(high) is not int or not -_HALF < low < _HALF or not -_HALF < high < _HALF:
        raise InvalidItem(_RULE)
    return low % _HALF + high % _HALF * _HALF
