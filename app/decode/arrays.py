"""Decodes the items of a JSON array without keeping the event loop for long, portion by portion.

There are three ways, from fast to slow. An array as nearly every client sends it is decoded at once
(`compact_array`). Of another one a parser finds the items of half a mebibyte, and each is decoded by itself.
Where a portion ends is guessed and then proven: `[{"signature":"a"},{"signature":"b"},…` is cut before an
object that begins like an item, and if what stands before is an array of its own by a strict parser, then it
was cut between two items. Where no guess holds, as beside an item that is no JSON, brackets and strings are
followed one by one (`array_scanner`), until a guess holds again.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from mmap import mmap

import msgspec

from app.decode.array_scanner import ArrayScanner
from app.decode.columns import Columns
from app.decode.compact_array import decode_compact_array
from app.decode.event_loop_turns import ITEM_COST, ONE_BY_ONE_BYTES, Turn, next_turn
from app.decode.item import ItemLimits, ItemResult, try_decode_item
from app.errors import BodyTooLarge

# What one call of a decoder is given at least: half a mebibyte takes a millisecond the short way. The long
# way makes an object of every item, 40,000 of them in 128 KiB of `[],`.
PORTION_BYTES = 448 * 1024
LONG_WAY_BYTES = 128 * 1024
# How much more it is given at the most, for an item to end there.
SPREAD_BYTES = 64 * 1024
_GUESSES = 3
_BORDER = re.compile(
    rb'\}[ \t\r\n]{0,64},[ \t\r\n]{0,64}(?=\{[ \t\r\n]{0,64}"(?:signature|source|slot|payload)")'
)
_array_decoder = msgspec.json.Decoder(list[msgspec.Raw])

# An item that is found by itself, and what it is decoded to or what is wrong with it, without its payload.
KEPT_BYTES = 320

Items = Iterable[bytes | memoryview | int]
Keep = Callable[[int], None]


def uncounted(_: int) -> None:
    """Keep as many bytes as come."""


async def decode_array(
    body: bytes | mmap,
    limits: ItemLimits,
    max_items: int,
    turn: Turn = next_turn,
    keep: Keep = uncounted,
) -> Sequence[ItemResult]:
    """Return each item as a transaction, or why it is none; `body` is an array without white space around it.

    `turn` waits for the body's turn. `keep` is told what is taken by items that are decoded one by one, bytes
    beside those of the body, and may refuse it.

    Raises:
        MalformedBody: the array itself cannot be read, with the byte at fault.
        BodyTooLarge: more items than allowed, or too much in them to find out where they end.
    """
    if len(body) <= PORTION_BYTES + SPREAD_BYTES:
        batch = decode_compact_array(bytes(body), limits, max_items)
        if batch is not None:
            return batch
    return await _ArrayDecoder(body, limits, max_items, turn, keep).decode()


async def array_items(body: bytes, max_item_bytes: int, max_items: int) -> Sequence[bytes | int]:
    """Return the items of an array as they stand; of those too long, their lengths.

    Raises:
        MalformedBody: the array itself cannot be read, with the byte at fault.
        BodyTooLarge: more items than allowed, or too much in them to find out where they end.
    """
    scanner, items = ArrayScanner(body, max_item_bytes), list[bytes | int]()
    while not scanner.is_done:
        await next_turn()
        items += scanner.step()
        _check_number(len(items), max_items)
    return items


async def decode_items(items: Items, limits: ItemLimits, turn: Turn = next_turn) -> list[ItemResult]:
    """Return each item as a transaction, or why it is none; a long one is decoded in a turn of its own."""
    results, work = list[ItemResult](), 0
    for item in items:
        cost = ITEM_COST + (0 if isinstance(item, int) else len(item))
        if work and work + cost > ONE_BY_ONE_BYTES:
            await turn()
            work = 0
        results.append(try_decode_item(item, limits))
        work += cost
    return results


def _check_number(items: int, max_items: int) -> None:
    if items > max_items:
        raise BodyTooLarge(f"the array has more than {max_items} items: split it, or send NDJSON")


class _ArrayDecoder:
    """One array on its way through the decoders."""

    def __init__(
        self, body: bytes | mmap, limits: ItemLimits, max_items: int, turn: Turn, keep: Keep
    ) -> None:
        self._body, self._limits, self._max_items = body, limits, max_items
        self._turn, self._keep = turn, keep
        self._scanner = ArrayScanner(body, limits.max_item_bytes)
        self._parts: list[Sequence[ItemResult]] = []
        self._number = 0
        self._portion = PORTION_BYTES

    async def decode(self) -> Sequence[ItemResult]:
        while not self._scanner.is_done:
            await self._turn()
            if not await self._decode_guessed():
                await self._decode_scanned()
        if all(isinstance(part, Columns) for part in self._parts):
            return Columns.joined(self._parts) if self._parts else []  # type: ignore[arg-type]  # as was checked
        return [item for part in self._parts for item in part]

    async def _decode_guessed(self) -> bool:
        """Decode the next portion as a parser finds its items; False if no guess of where it ends holds.

        Once a portion has to go the long way, it and all that follow are smaller.
        """
        body, start = self._body, self._scanner.start
        for end, begin in self._guesses():
            is_whole = start == 1 and begin == len(body)  # that was tried before
            text = bytes(body) if is_whole else b"".join((b"[", memoryview(body)[start:end], b"]"))
            batch = None if is_whole else decode_compact_array(text, self._limits, self._max_items)
            if batch is not None:
                self._add(batch)
                self._scanner.go_to(begin)
                return True
            await self._turn()
            if len(text) > LONG_WAY_BYTES + SPREAD_BYTES and self._portion > LONG_WAY_BYTES:
                self._portion = LONG_WAY_BYTES
                return await self._decode_guessed()
            with suppress(ValueError, RecursionError):
                items = _array_decoder.decode(text)
                if items:
                    await self._decode_items(len(items), map(memoryview, items))
                    self._scanner.go_to(begin)
                    return True
        return False

    def _guesses(self) -> Iterator[tuple[int, int]]:
        """Yield where the next portion may end, and the one after it begin."""
        start, last = self._scanner.start, len(self._body) - 1
        if last - start <= self._portion + SPREAD_BYTES and self._body[last:] == b"]":
            yield last, len(self._body)
            return
        least = start + self._portion
        borders = _BORDER.finditer(self._body, least, least + SPREAD_BYTES)
        for _, border in zip(range(_GUESSES), borders, strict=False):
            yield border.start() + 1, border.end()

    async def _decode_scanned(self) -> None:
        """Decode a portion of the next items, told apart by brackets and strings."""
        scanner, begin = self._scanner, self._scanner.start
        while not scanner.is_done and scanner.start - begin < LONG_WAY_BYTES:
            await self._turn()
            items = scanner.step()
            await self._decode_items(len(items), items)

    async def _decode_items(self, number: int, items: Items) -> None:
        _check_number(self._number + number, self._max_items)
        # Ten thousand of `12,` are 30 KB, and 3 MB when they are decoded, which takes twenty turns.
        self._keep(KEPT_BYTES * number)
        self._add(await decode_items(items, self._limits, self._turn))

    def _add(self, part: Sequence[ItemResult]) -> None:
        self._number += len(part)
        _check_number(self._number, self._max_items)
        self._parts.append(part)
