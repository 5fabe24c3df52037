"""Judges the items of a JSON array without keeping the event loop for long."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from app.ingest.canonical import decode_canonical
from app.ingest.decode import ItemLimits, Judged, array_items, judge_item, may_hold_many

# What one portion of a batch may take of the event loop.
PORTION_BYTES = 512 * 1024
# From here on a thread decodes: a mebibyte takes about two milliseconds the short way, and ten the long one.
LARGE_BODY_BYTES = 1024 * 1024

T = TypeVar("T")


async def judge_array(body: bytes, limits: ItemLimits, max_items: int) -> Sequence[Judged]:
    """Each item as a transaction, or why it is none.

    Raises:
        MalformedBody, BodyTooLarge: as `array_items`.
    """
    is_large = len(body) > LARGE_BODY_BYTES
    if not (is_large and may_hold_many(body, max_items)):
        transactions = await _run(is_large, partial(decode_canonical, body, limits, max_items))
        if transactions is not None:
            return transactions
    items = await _run(is_large, partial(array_items, body, max_items))
    judged: list[Judged] = []
    portion = max(1, PORTION_BYTES * len(items) // max(1, len(body)))
    for start in range(0, len(items), portion):
        judged += [judge_item(memoryview(item), limits) for item in items[start : start + portion]]
        await asyncio.sleep(0)  # others are served between
    return judged


async def _run(in_thread: bool, work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work) if in_thread else work()
