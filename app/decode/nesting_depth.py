"""How deep JSON is nested, which TIDEGATE_MAX_PAYLOAD_DEPTH bounds for payloads: `{"a":[1,"x"]}` is 2 deep.

Programs that read a payload later follow it by recursion, so one that is nested too deeply would break them.
The levels are counted without recursion. JSON that is no part of a payload has no other bound than that of
its parsers, which raise RecursionError (error_messages.py has the sentence).
"""

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import add, sub

import msgspec

# Following this many opening brackets takes ten milliseconds, in which no other request is served.
MOST_OPENED = 75_000
# Opening brackets are counted in pieces of the body: each as long as the longest payload, and this at least.
LEAST_PIECE_BYTES = 4096
_STRUCTURE = b'"[]{}'
_NOT_STRUCTURE = bytes(set(range(256)) - set(_STRUCTURE))
_AS_BRACKETS = bytes.maketrans(b"{}", b"[]")
_OPENING, _CLOSING = re.compile(rb"\[+"), re.compile(rb"\]+")
_INNER_LEVELS = 8


def are_nested_within(texts: Iterable[bytes], most: int) -> bool:
    """Tell whether none of several texts of valid JSON is nested deeper than `most`.

    Mostly each has fewer brackets than that. False, too, where it takes too long to find out.
    """
    followed = 0
    for text in texts:
        opened = _opened(text)
        if opened > most:
            followed += opened
            if followed > MOST_OPENED or depth(text) > most:
                return False
    return True


def are_parts_nested_within(body: bytes, parts: Sequence[msgspec.Raw], longest: int, most: int) -> bool:
    """Tell whether none of the parts of a body, of `longest` bytes at most, is nested deeper than `most`.

    A part lies within two neighbouring pieces of the body, so it is nested no deeper than both together have
    opening brackets. Mostly no two have more than the limit, and no part needs a look. False, too, where it
    takes too long to find out.
    """
    width = max(longest, LEAST_PIECE_BYTES)
    opened = [_opened(body[at : at + width]) for at in range(0, len(body), width)]
    most_in_two: int = max(map(add, opened, [*opened[1:], 0]))
    return most_in_two <= most or (sum(opened) <= MOST_OPENED and are_nested_within(map(bytes, parts), most))


def _opened(text: bytes) -> int:
    """Count opening brackets: removing them and comparing lengths is three times as fast as `bytes.count`."""
    return 2 * len(text) - len(text.replace(b"{", b"")) - len(text.replace(b"[", b""))


def depth(payload: bytes) -> int:
    """Return the nesting of valid JSON: only its brackets stay, `{"a":[1,"x"]}` becomes `[[]]`.

    The innermost go level by level, which is all there is of usual payloads. What is deeper is counted
    run by run, so that the cost grows with the bytes and not with the levels.
    """
    if b"\\" in payload:
        # In pairs from the left, as they are read: in "\\\\\"" the last backslash belongs to the quote.
        payload = payload.replace(b"\\\\", b"").replace(b'\\"', b"")
    structure = payload.translate(_AS_BRACKETS, _NOT_STRUCTURE)
    levels = structure.replace(b'""', b"")
    if b'"' in levels:  # there are brackets in strings
        levels = b"".join(structure.split(b'"')[::2])
    inner = 0
    while levels and inner < _INNER_LEVELS:
        levels = levels.replace(b"[]", b"")
        inner += 1
    return inner + _deepest(levels)


def _deepest(brackets: bytes) -> int:
    """Return the most brackets that are open at once: in `[[[]][` 3 open, 2 close, 1 opens."""
    opened = accumulate(map(len, _OPENING.findall(brackets)))
    closed = accumulate(map(len, _CLOSING.findall(brackets)), initial=0)
    return max(map(sub, opened, closed), default=0)
