"""Lone surrogates: valid JSON text (RFC 8259 section 8.2) that no decoder makes a string of.

A program that cuts text between the two halves of an emoji sends one of them, as an escape. For a payload,
which is kept as it was sent, that is no reason to refuse it: a copy is decoded in which they are masked.
"""

import re
from secrets import randbelow
from typing import NamedTuple

# A pair of surrogates, or one that is alone. After an even number of backslashes there is no escape:
# \\ud83d is a backslash and the letters ud83d.
_SURROGATES = re.compile(
    rb"(?<!\\)(?:\\\\)*+\\"
    rb"(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2}))"
)
_ESCAPE_BYTES = 6
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
    places = [found.start(1) - 1 for found in _SURROGATES.finditer(raw) if found[1]]
    mask = _mask_for(raw) if places else None
    if mask is None:
        return None
    text = bytearray(raw)
    for place in places:
        text[place : place + _ESCAPE_BYTES] = mask
    return Masked(bytes(text), mask, places[0])


def _mask_for(raw: bytes) -> bytes | None:
    """An escape that is not in the text; chance finds one soon, and nobody can have foreseen which."""
    for character in (_SHOWN, *(_FIRST + randbelow(_END - _FIRST) for _ in range(_TRIES))):
        mask = b"\\u%04x" % character
        if mask not in raw:
            return mask
    return None
