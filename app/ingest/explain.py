"""What is wrong with JSON and where, in the words of the docs."""

import re
from typing import NamedTuple

import msgspec

from app.models import Transaction

_RULES = {
    "signature": "signature: 1 to 128 visible ASCII characters without space",
    "source": "source: 1 to 64 of A-Z a-z 0-9 . _ : -",
    "slot": "slot: an integer from 0 to 9223372036854775807, or null",
}
_CUT_OFF = "Input data was truncated"
_UNKNOWN = "Object contains unknown field"
_MAX_NAMED = 10
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_ESCAPE_BYTES = 6
_HIGH, _LOW = range(0xD800, 0xDC00), range(0xDC00, 0xE000)
_keys_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Explanation(NamedTuple):
    """A sentence, and whether the text is not even JSON."""

    detail: str
    is_malformed: bool


def explain(error: Exception, raw: bytes) -> Explanation:
    """Why a decoder refused `raw`."""
    message = str(error)
    if isinstance(error, RecursionError):
        return Explanation("JSON is nested too deeply", True)
    if isinstance(error, UnicodeDecodeError):
        return Explanation(f"JSON is not UTF-8 (byte {error.start})", True)
    if isinstance(error, msgspec.ValidationError):
        return (
            _explain_unknown(raw)
            if message.startswith(_UNKNOWN)
            else Explanation(_explain_field(message), False)
        )
    at = _lone_surrogate(raw) if message == _CUT_OFF or "surrogate" in message else None
    if at is not None:
        return Explanation(f"JSON holds a lone surrogate (byte {at})", True)
    return Explanation(f"JSON is cut off (byte {len(raw)})" if message == _CUT_OFF else message, True)


def _explain_field(message: str) -> str:
    what, _, path = message.partition(" - at `$.")
    field = path.rstrip("`")
    if field not in _RULES:
        return what
    return _RULES[field] if "regex" in what else f"{_RULES[field]}: {what}"


def _explain_unknown(raw: bytes) -> Explanation:
    """Name the unknown fields; the decoder stopped at the first, so what follows may be no JSON at all."""
    try:
        given = _keys_decoder.decode(raw).keys()
    except (ValueError, RecursionError) as error:
        return explain(error, raw)
    unknown = sorted(name[:64] for name in given - set(Transaction.__struct_fields__))
    field = "field" if len(unknown) == 1 else "fields"
    return Explanation(f"unknown {field}: {', '.join(unknown[:_MAX_NAMED])}", False)


def _lone_surrogate(raw: bytes) -> int | None:
    """Where half of a pair of surrogates stands alone; None if the text may only be cut off within a pair."""
    high = None
    for escape in _ESCAPE.finditer(raw):
        code = int(escape[1], 16) if escape[1] else -1
        follows = high is not None and escape.start() == high + _ESCAPE_BYTES
        if high is not None and not (follows and (code in _LOW or len(raw) - escape.start() < _ESCAPE_BYTES)):
            return high
        if code in _LOW and not follows:
            return escape.start()
        high = escape.start() if code in _HIGH else None
    if high is not None and len(raw) > high + _ESCAPE_BYTES and raw[high + _ESCAPE_BYTES :] != b"\\":
        return high
    return None
