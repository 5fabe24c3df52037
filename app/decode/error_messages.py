"""Says what is wrong with JSON and where, in the words of the docs.

Of `{"signature": "A", "source": 7}` a parser says that it expected a string at `$.source`; the client is told
the rule as well: `source: 1 to 64 of A-Z a-z 0-9 . _ : -`. What is no JSON at all is told first, with its
byte.
"""

import re
from heapq import nsmallest
from mmap import mmap
from typing import NamedTuple

import msgspec

from app.models import SIGNATURE_RULE, SOURCE_RULE, Transaction

_RULES = {
    "signature": f"signature: {SIGNATURE_RULE}",
    "source": f"source: {SOURCE_RULE}",
    "slot": "slot: an integer from 0 to 9223372036854775807, or null",
}
ITEM_TOO_LONG = "the item has {} bytes; its payload may have {}"
PAYLOAD_TOO_LONG = "payload has {} bytes, {} are allowed"
NESTED_TOO_DEEP = "payload is nested {} deep, {} are allowed"
KEY_TWICE = "key given twice: {}"
TOO_DEEP_TO_READ = "JSON is nested too deeply"
CUT_OFF = "Input data was truncated"
"""What msgspec says of a text that ends too early, without a byte."""
_UNKNOWN = "Object contains unknown field"
_MISSING = "Object missing required field `signature`"
_AN_ARRAY = "Expected `object`, got `array`"
_MAX_NAMED = 10
_QUOTED_CHARACTERS = 64
_AT_BYTE = re.compile(r"\(byte (\d+)\)")
_NO_NUMBER = re.compile(rb"-?Infinity|NaN")
# Inside of JSON a comma would stand between the two, and a string holds no line end.
_LINES = re.compile(rb"\}[ \t]*\r?\n\s*\{")
_LOOKED_AT_BYTES = 64 * 1024
_text_decoder = msgspec.json.Decoder(msgspec.Raw)
_keys_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Explanation(NamedTuple):
    """A sentence, and whether the text is not even JSON."""

    detail: str
    is_malformed: bool


def explain(error: Exception, raw: bytes) -> Explanation:
    """Return why a parser refused `raw`: that it is no JSON, if so, else what makes it no transaction."""
    if isinstance(error, msgspec.ValidationError):
        try:
            _text_decoder.decode(raw)
        except (ValueError, RecursionError) as broken:
            return explain(broken, raw)
        return Explanation(_explain_item(str(error), raw), False)
    if isinstance(error, RecursionError):
        return Explanation(TOO_DEEP_TO_READ, True)
    if isinstance(error, UnicodeDecodeError):
        return Explanation(f"JSON is not UTF-8 (byte {error.start})", True)
    return Explanation(_explain_text(str(error), raw), True)


def printable(text: str) -> str:
    """Escape what is not printable, line ends among it, in what a sentence quotes of others."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def quoted(text: str) -> str:
    """Return the beginning of what others have written in quotes and ASCII, fit for a terminal and a log."""
    return ascii(text[:_QUOTED_CHARACTERS])


def looks_like_lines(body: bytes | mmap) -> bool:
    """Tell whether a body that was sent as one JSON document is NDJSON."""
    return _LINES.search(body, 0, _LOOKED_AT_BYTES) is not None


def _explain_text(message: str, raw: bytes) -> str:
    """Return what is wrong with text that is no JSON."""
    if message == CUT_OFF:
        return f"JSON is cut off (byte {len(raw)})"
    place = _AT_BYTE.search(message)
    if place and (number := _NO_NUMBER.match(raw, int(place[1]))):
        name = number[0].decode()
        return f"JSON has no {name}: send null or a string instead {place[0]}"
    return message


def _explain_item(message: str, raw: bytes) -> str:
    """Return what is wrong with JSON that is no transaction."""
    if message.startswith(_UNKNOWN):
        return _explain_unknown(raw)
    if message == _MISSING:
        return f"signature is missing; each transaction has one of its own: {_RULES['signature']}"
    if message == _AN_ARRAY:
        return f"{message}: an item is an object; send an array as application/json"
    what, _, path = message.partition(" - at `$.")
    field = path.rstrip("`")
    if field not in _RULES:
        return what
    return _RULES[field] if "regex" in what else f"{_RULES[field]}: {what}"


def _explain_unknown(raw: bytes) -> str:
    """Name the unknown fields."""
    given = _keys_decoder.decode(raw).keys()
    unknown = given - set(Transaction.__struct_fields__)
    field = "field" if len(unknown) == 1 else "fields"
    return f"unknown {field}: {', '.join(printable(name[:64]) for name in nsmallest(_MAX_NAMED, unknown))}"
