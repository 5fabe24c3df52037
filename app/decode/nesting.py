"""How deep JSON is nested, found without building it."""

import re
from itertools import accumulate
from operator import sub

_STRUCTURE = b'"[]{}'
_NOT_STRUCTURE = bytes(set(range(256)) - set(_STRUCTURE))
_AS_BRACKETS = bytes.maketrans(b"{}", b"[]")
_OPENING, _CLOSING = re.compile(rb"\[+"), re.compile(rb"\]+")
_INNER_LEVELS = 8


def depth_above(payload: bytes, most: int) -> int:
    """Nesting of valid JSON if it is above `most`, else 0; for nearly all it is enough to count brackets."""
    if payload.count(b"{") + payload.count(b"[") <= most:
        return 0
    nested = depth(payload)
    return nested if nested > most else 0


def depth(payload: bytes) -> int:
    """Nesting of valid JSON: only its brackets stay, `{"a":[1,"x"]}` becomes `[[]]`.

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
    """The most brackets that are open at once: in `[[[]][` 3 open, 2 close, 1 opens."""
    opened = accumulate(map(len, _OPENING.findall(brackets)))
    closed = accumulate(map(len, _CLOSING.findall(brackets)), initial=0)
    return max(map(sub, opened, closed), default=0)
