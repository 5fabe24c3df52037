"""Lone surrogates: valid JSON text (RFC 8259 section 8.2) that no decoder makes a string of.

A program that cuts text between the two halves of an emoji sends one of them, as an escape. For a payload,
which is kept as it was sent, that is no reason to refuse it: a copy is decoded in which they are masked.
"""

import re
from secrets import randbelow
from typing import NamedTuple

# Where an escaped backslash stood while surrogates are looked for, since `\\\\ud83d` is a backslash and the
# letters ud83d. JSON has no such byte.
_BACKSLASH, _STAND_IN = rb"\\", b"\x00\x00"
# A high one that no low one follows, or a low one that follows no high one.
_LONE = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
)
_ESCAPE = re.compile(rb"\\u[0-9a-f]{4}")
# What viewers show for a character that cannot be shown, and characters that no signature or source may have.
_SHOWN, _FIRST, _END = 0xFFFD, 0x0100, 0xD800
_TRIES = 100


class Masked(NamedTuple):
    """JSON of the same length in which every lone surrogate is another character."""

    text: bytes
    mask: bytes
    """The escape that stands for each of them, and for nothing else."""
    first: int
    """Where the first one stands."""


def masked(raw: bytes) -> Masked | None:
    """The text with its lone surrogates masked; None if it has none, or no mask is left."""
    text = raw.replace(_BACKSLASH, _STAND_IN)
    first = _LONE.search(text)
    mask = _mask_for(raw) if first and _STAND_IN[:1] not in raw else None
    if first is None or mask is None:
        return None
    text = _LONE.sub(mask.replace(b"\\", _BACKSLASH), text)
    return Masked(text.replace(_STAND_IN, _BACKSLASH), mask, first.start())


def _mask_for(raw: bytes) -> bytes | None:
    """An escape that is not in the text; chance finds one soon, and nobody can have foreseen which."""
    taken = set(_ESCAPE.findall(raw))
    for character in (_SHOWN, *(_FIRST + randbelow(_END - _FIRST) for _ in range(_TRIES))):
        mask = b"\\u%04x" % character
        if mask not in taken:
            return mask
    return None
