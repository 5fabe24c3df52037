"""Lone surrogates: valid JSON text (RFC 8259 section 8.2) that no decoder makes a string of.

A program that cuts text between the two halves of an emoji sends one of them, as an escape. For a payload,
which is kept as it was sent, that is no reason to refuse it: a copy is decoded in which they are masked.
"""

import re
from secrets import choice
from typing import NamedTuple

from app.decode.event_loop_turns import next_turn

# Where an escaped backslash stood while surrogates are looked for, since `\\\\ud83d` is a backslash and the
# letters ud83d. JSON has no such byte.
_BACKSLASH, _STAND_IN = rb"\\", b"\x00\x00"
# A high one that no low one follows, or a low one that follows no high one.
_LONE = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
)
# What viewers show for a character that cannot be shown.
_SHOWN = b"\\ufffd"
# The digits of escapes from \u1000 to \ucfff, characters that no signature or source may have. With capital
# letters there are 159,720 of them, and all together take 936 KiB.
_FIRST_DIGITS, _DIGITS = b"123456789abcABC", b"0123456789abcdefABCDEF"
_TRIES = 100
REPLACED_AT_ONCE = 10_000


class Masked(NamedTuple):
    """JSON of the same length in which every lone surrogate is another character."""

    text: bytes
    mask: bytes
    """The escape that stands for each of them, and for nothing else."""
    first: int
    """Where the first one stands."""


def masked(raw: bytes) -> Masked | None:
    """Return the text with its lone surrogates masked; None if it has none, or no mask is left."""
    text = raw.replace(_BACKSLASH, _STAND_IN)
    first = _LONE.search(text)
    mask = _mask_for(raw) if first and _STAND_IN[:1] not in raw else None
    if first is None or mask is None:
        return None
    text = _LONE.sub(mask.replace(b"\\", _BACKSLASH), text)
    return Masked(text.replace(_STAND_IN, _BACKSLASH), mask, first.start())


async def shown_as_replaced(raw: bytes) -> bytes:
    """Return the text with U+FFFD for each lone surrogate; its strings are to be shown or passed over."""
    text = raw.replace(_BACKSLASH, _STAND_IN)
    if _STAND_IN[:1] in raw or _LONE.search(text) is None:
        return raw
    replaced = bytearray(text)
    for number, lone in enumerate(_LONE.finditer(text), 1):
        replaced[lone.start() : lone.end()] = _SHOWN
        if number % REPLACED_AT_ONCE == 0:
            await next_turn()
    return bytes(replaced).replace(_STAND_IN, _BACKSLASH)


def _mask_for(raw: bytes) -> bytes | None:
    """Return an escape that is not in the text; chance finds one soon, and nobody can have foreseen which."""
    mask = _SHOWN
    for _ in range(_TRIES):
        if mask not in raw:
            return mask
        mask = b"\\u" + bytes([choice(_FIRST_DIGITS), *(choice(_DIGITS) for _ in range(3))])
    return None
