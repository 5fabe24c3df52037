"""Reads what a provider delivers: from the bytes of a body to transactions, whatever the body's shape."""

from collections.abc import AsyncIterator, Mapping
from mmap import mmap
from typing import NamedTuple

from app.decode.columns import Columns
from app.decode.item import ItemLimits, ItemResult
from app.feeds.rules import FeedRules


class Part(NamedTuple):
    """Some of the transactions of a body, in their order; a body has as many parts as it takes."""

    results: Columns | list[ItemResult]
    """Columns where all are valid."""
    skipped: Mapping[str, int]
    """Transactions that the feed's rules leave out, by the rule."""
    shapes: Mapping[str, int]
    """Documents that were read, by their shape."""


async def read_delivery(
    document: bytes | mmap, limits: ItemLimits, rules: FeedRules, most_items: int
) -> AsyncIterator[Part]:
    """Yield the transactions of a body in parts of at most `most_items`.

    `document` has no white space around it. What is wrong with one transaction stands in its place. Nothing
    is yielded of a body that holds nothing: `[]`, `{"jsonrpc":"2.0","result":null}`.

    Raises:
        MalformedBody: the body as a whole is no JSON, with the byte at fault; nothing of it was yielded.
    """
    raise NotImplementedError((document, limits, rules, most_items))
    yield Part([], {}, {})
