"""Finds the items of a JSON array by its brackets and strings alone.

For an array that a strict parser refuses: each item is then judged by itself, and one that cannot be read
(NaN, a lone surrogate, a million brackets) spoils no other.
"""

import re
from collections.abc import Iterator

from app.errors import BodyTooLarge, MalformedBody

SPACE = b" \t\r\n"
# About a second of work; bodies as feeds send them have a tenth of it in 8 MiB.
MAX_TOKENS = 4_000_000

# A string, a run of brackets, or a run of plain values with their commas.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|"|[\[{]+|[\]}]+|,[^"\[\]{}]*', re.DOTALL)
_OPENING, _CLOSING = b"[{", b"]}"


def split_array(body: bytes) -> Iterator[bytes]:
    """The items of an array, as they stand; the body has to begin with its bracket.

    Raises:
        MalformedBody: it is no array, with the byte at fault; items that came before were whole.
        BodyTooLarge: it holds more brackets and strings than can be looked at.
    """
    depth, start = 0, body.index(b"[") + 1
    for number, token in enumerate(_TOKEN.finditer(body)):
        if number > MAX_TOKENS:
            raise BodyTooLarge(
                f"the array holds more than {MAX_TOKENS} brackets and strings: send less at once"
            )
        at, end = token.span()
        char = body[at : at + 1]
        if char in _OPENING:
            depth += end - at
        elif char in _CLOSING:
            if depth <= end - at:
                yield from _last_item(body, start, at + depth - 1)
                return
            depth -= end - at
        elif char == b"," and depth == 1:
            while (comma := body.find(b",", max(start, at), end)) >= 0:
                yield _item(body, start, comma)
                start = comma + 1
        elif char == b'"' and end == at + 1:
            break
    raise MalformedBody(f"JSON is cut off (byte {len(body)})")


def _last_item(body: bytes, start: int, end: int) -> Iterator[bytes]:
    """What stands before the bracket at `end`, which has to be the array's and the last thing there is."""
    if body[end : end + 1] != b"]":
        raise MalformedBody(f"JSON is malformed: the array ends with another bracket (byte {end})")
    if body[end + 1 :].strip(SPACE):
        raise MalformedBody(f"JSON is malformed: trailing characters (byte {end + 1})")
    is_empty = start == body.index(b"[") + 1 and not body[start:end].strip(SPACE)
    if not is_empty:
        yield _item(body, start, end)


def _item(body: bytes, start: int, end: int) -> bytes:
    item = body[start:end].strip(SPACE)
    if not item:
        raise MalformedBody(f"JSON is malformed: a comma with nothing beside (byte {end})")
    return item
