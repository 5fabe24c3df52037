"""A part of a body: what the reader of feeds hands over at a time."""

from collections.abc import Mapping
from typing import NamedTuple

from app.decode.columns import Columns
from app.decode.item import ItemResult


class Part(NamedTuple):
    """Some of the transactions of a body, in their order; a body has as many parts as it takes."""

    results: Columns | list[ItemResult]
    """Columns where all are valid; there may be none in a part."""
    skipped: Mapping[str, int]
    """Transactions that the feed's rules leave out, by the rule."""
    shapes: Mapping[str, int]
    """Documents that were read, by their shape."""
