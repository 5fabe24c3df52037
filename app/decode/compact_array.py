"""Decodes, in one go, arrays as nearly every client sends them: valid items, white space only in payloads.

`[{"signature":"A","slot":5},{"signature":"B"}]` has 46 bytes, and nothing shorter says the same. So if an
array is as short as what was read from it can be, it holds no white space outside of its payloads and no key
twice (a second `"slot":5` would make it longer). Then nothing is left to check item by item but the nesting
of payloads. Of any other array None is returned, and the caller goes a slower way: `arrays` decodes it in
pieces and says what is wrong, if anything is; a feed's body is read document by document (`provider_body`).
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
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
)
from app.decode.nesting_depth import are_parts_nested_within
from app.models import SIGNATURE_MAX_CHARS, SOURCE_PATTERN, Slot

_SOURCE = re.compile(SOURCE_PATTERN)


class _Item(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A transaction that tells a field that is null from one that is missing; patterns are checked later."""

    signature: str
    source: str | UnsetType | None = UNSET
    slot: Slot | UnsetType | None = UNSET
    payload: msgspec.Raw = msgspec.Raw()


_decoder = msgspec.json.Decoder(list[_Item])


def decode_compact_array(body: bytes, limits: ItemLimits, max_items: int) -> Columns | None:
    """Return the transactions of an array of valid items that has the least bytes, or a portion of one.

    None for any other body, and for one that takes too long to check.
    """
    try:
        items = _decoder.decode(body)
        if not body.isascii():
            body.decode()  # payloads have to be UTF-8, too, and msgspec does not look into a Raw
    except (ValueError, RecursionError):
        return None
    if not 0 < len(items) <= max_items:
        return None
    signatures = [item.signature for item in items]
    sources = [item.source for item in items]
    slots = [item.slot for item in items]
    payloads = [item.payload for item in items]
    payload_lengths, source_counts = list(map(len, payloads)), count_values(sources)
    is_canonical = (
        max(payload_lengths) <= limits.max_payload_bytes
        and _are_signatures(signatures)
        and all(source is None or source is UNSET or _SOURCE.match(source) for source in source_counts)
        and _least_bytes(signatures, source_counts, slots, payload_lengths) == len(body)
        and are_parts_nested_within(body, payloads, max(payload_lengths), limits.max_payload_depth)
    )
    if not is_canonical:
        return None
    return Columns(
        signatures,
        _filled(sources, source_counts, limits.default_source),
        [None if slot is UNSET else slot for slot in slots],
        [payload or NULL for payload in payloads] if 0 in payload_lengths else payloads,
    )


def _filled(sources: Sequence[Any], source_counts: Mapping[Any, int], default: str) -> Sequence[str]:
    """Return the sources, the default for one missing or null; mostly every item has one, or none has."""
    if all(source_counts):  # UNSET and None are false, and no valid source is empty
        return sources
    return [default] * len(sources) if len(source_counts) == 1 else [source or default for source in sources]


def _are_signatures(texts: Sequence[str]) -> bool:
    """Tell whether each is 1 to 128 visible ASCII characters.

    Control characters are not looked for: JSON has them escaped, which `_least_bytes` finds too long.
    """
    joined = "".join(texts)
    is_visible = joined.isascii() and " " not in joined and "\x7f" not in joined
    return is_visible and all(texts) and max(map(len, texts)) <= SIGNATURE_MAX_CHARS


def _least_bytes(
    signatures: Sequence[str],
    source_counts: Mapping[Any, int],
    slots: Sequence[object],
    payload_lengths: Sequence[int],
) -> int:
    """Return how many bytes an array has that says just this without white space and without escapes.

    A quote in a signature is escaped, so an array with one has more: valid as it is, it is left to `arrays`.
    """
    count = len(signatures)
    return (
        len("[]")
        + count * len(",")
        - len(",")
        + count * ITEM_BYTES
        + sum(map(len, signatures))
        + sum(_source_bytes(source) * times for source, times in source_counts.items())
        + _slot_bytes(slots)
        + (count - payload_lengths.count(0)) * PAYLOAD_BYTES
        + sum(payload_lengths)
    )


def _source_bytes(source: object) -> int:
    if source is UNSET:
        return 0
    return SOURCE_BYTES + (len(source) + QUOTES_BYTES if isinstance(source, str) else NULL_BYTES)


def _slot_bytes(slots: Sequence[Any]) -> int:
    with suppress(TypeError):  # it is raised if not all of them are numbers
        least_digits, most_digits = len(f"{min(slots):d}"), len(f"{max(slots):d}")
        if least_digits == most_digits:  # so all have as many: a slot has no sign
            return len(slots) * (SLOT_BYTES + least_digits)
    given = [slot for slot in slots if slot is not UNSET]
    return len(given) * SLOT_BYTES + sum(map(len, map(str, given)))  # None takes as much as null
