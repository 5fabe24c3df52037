"""Decodes, in one go, arrays as nearly every client sends them: valid items, white space only in payloads.

`[{"signature":"A","slot":5},{"signature":"B"}]` has 46 bytes, and nothing shorter says the same. So an array
that has just the least bytes for what was read from it has, outside its payloads, no white space and no key
twice (a second `"slot":5` would make it longer). Then nothing is left to check item by item but the nesting
of payloads. Any other array is left to `arrays`, which decodes it in pieces and says what is wrong, if
anything is.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from operator import add
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from app.decode.columns import Columns, count_values
from app.decode.item import (
    ITEM_BYTES,
    NULL,
    NULL_BYTES,
    PAYLOAD_BYTES,
    QUOTES_BYTES,
    SLOT_BYTES,
    SOURCE_BYTES,
    ItemLimits,
    depth_above,
)
from app.models import SIGNATURE_MAX_CHARS, SOURCE_PATTERN, Slot

_SOURCE = re.compile(SOURCE_PATTERN)
# Brackets are counted in pieces of the body of so many bytes, or as long as the longest payload if that is
# longer.
NEAR_BYTES = 4096
# Following the nesting of this many opening brackets takes ten milliseconds. With more, items are decoded one
# by one, with pauses for others.
MOST_OPENED = 75_000


class _Item(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A transaction that tells a field that is null from one that is missing; patterns are checked later."""

    signature: str
    source: str | UnsetType | None = UNSET
    slot: Slot | UnsetType | None = UNSET
    payload: msgspec.Raw = msgspec.Raw()


_decoder = msgspec.json.Decoder(list[_Item])


def decode_compact_array(body: bytes, limits: ItemLimits, max_items: int) -> Columns | None:
    """Return the transactions of an array of valid items that has the least bytes.

    None for any other body, and for one that takes too long to check.
    """
    try:
        items = _decoder.decode(body)
        if not body.isascii():
            body.decode()
    except (ValueError, RecursionError):
        return None
    if not 0 < len(items) <= max_items:
        return None
    signatures = [item.signature for item in items]
    sources = [item.source for item in items]
    slots = [item.slot for item in items]
    payloads = [item.payload for item in items]
    lengths, names = list(map(len, payloads)), count_values(sources)
    is_canonical = (
        max(lengths) <= limits.max_payload_bytes
        and _are_signatures(signatures)
        and all(source is None or source is UNSET or _SOURCE.match(source) for source in names)
        and _least_bytes(signatures, names, slots, lengths) == len(body)
        and _is_nested_within(body, payloads, max(lengths), limits)
    )
    if not is_canonical:
        return None
    return Columns(
        signatures,
        _filled(sources, names, limits.default_source),
        [None if slot is UNSET else slot for slot in slots],
        [payload or NULL for payload in payloads] if 0 in lengths else payloads,
    )


def _filled(sources: Sequence[Any], names: Mapping[Any, int], default: str) -> Sequence[str]:
    """Return the sources, the default for one missing or null; mostly every item has one, or none has."""
    if all(names):
        return sources
    return [default] * len(sources) if len(names) == 1 else [source or default for source in sources]


def _is_nested_within(body: bytes, payloads: Sequence[msgspec.Raw], longest: int, limits: ItemLimits) -> bool:
    """Tell whether no payload is nested too deeply; False, too, where it takes too long to find out.

    A payload lies within two neighbouring pieces of the body, and mostly no two of them open more brackets
    than the limit.
    """
    width = max(longest, NEAR_BYTES)
    opened = [_opened(body[at : at + width]) for at in range(0, len(body), width)]
    near: int = max(map(add, opened, [*opened[1:], 0]))
    if near <= limits.max_payload_depth:
        return True
    if sum(opened) > MOST_OPENED:
        return False
    return not any(depth_above(bytes(payload), limits.max_payload_depth) for payload in payloads)


def _opened(text: bytes) -> int:
    """Count opening brackets: removing them and comparing lengths is three times as fast as `bytes.count`."""
    return 2 * len(text) - len(text.replace(b"{", b"")) - len(text.replace(b"[", b""))


def _are_signatures(texts: Sequence[str]) -> bool:
    """Tell whether each is 1 to 128 visible ASCII characters.

    Control characters are not looked for: JSON has them escaped, which takes more than the least bytes.
    """
    joined = "".join(texts)
    is_visible = joined.isascii() and " " not in joined and "\x7f" not in joined
    return is_visible and all(texts) and max(map(len, texts)) <= SIGNATURE_MAX_CHARS


def _least_bytes(
    signatures: Sequence[str], sources: Mapping[Any, int], slots: Sequence[object], payloads: Sequence[int]
) -> int:
    """Return the least bytes of an array that says just this; `payloads` are their lengths."""
    count = len(signatures)
    return (
        len("[]")
        + count * len(",")
        - len(",")
        + count * ITEM_BYTES
        + sum(map(len, signatures))
        + sum(_source_bytes(source) * times for source, times in sources.items())
        + _slot_bytes(slots)
        + (count - payloads.count(0)) * PAYLOAD_BYTES
        + sum(payloads)
    )


def _source_bytes(source: object) -> int:
    if source is UNSET:
        return 0
    return SOURCE_BYTES + (len(source) + QUOTES_BYTES if isinstance(source, str) else NULL_BYTES)


def _slot_bytes(slots: Sequence[Any]) -> int:
    with suppress(TypeError):  # not all of them are numbers
        least, most = len(f"{min(slots):d}"), len(f"{max(slots):d}")
        if least == most:
            return len(slots) * (SLOT_BYTES + least)
    given = [slot for slot in slots if slot is not UNSET]
    return len(given) * SLOT_BYTES + sum(map(len, map(str, given)))  # None takes as much as null
