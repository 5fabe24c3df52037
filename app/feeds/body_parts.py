"""The parts of a feed's body, which are held until it is known whether all of it is taken.

A body of `[{…},1,1,1,…]` may hold 200,000 things that are wrong, each with a sentence of its own: 60 MB. An
answer lists the first 10,000. So those behind them are kept as the one object that was last listed of their
kind, which leaves every count and every index as it is.
"""

from collections.abc import Mapping
from typing import NamedTuple

from app.decode.columns import Columns
from app.decode.item import InvalidItem, ItemResult


class Part(NamedTuple):
    """Some of the transactions of a body, in their order; a body has as many parts as it takes."""

    results: Columns | list[ItemResult]
    """Columns where all are valid; there may be none in a part."""
    skipped: Mapping[str, int]
    """Transactions that the feed's rules leave out, by the rule."""
    shapes: Mapping[str, int]
    """Documents that were read, by their shape."""


class Collection:
    """The parts of one body, of which so many invalid things keep what is wrong with them."""

    def __init__(self, most_invalid: int) -> None:
        self.parts: list[Part] = []
        self.transactions = 0
        """How many are valid."""
        self.invalid_bytes = 0
        """How much is held of what is wrong."""
        self._room = most_invalid
        self._last: dict[type[InvalidItem], InvalidItem] = {}

    def add(self, part: Part) -> None:
        """Hold a part."""
        results = part.results
        if isinstance(results, Columns):
            self.transactions += len(results)
        else:
            results = [self._kept(result) for result in results]
        self.parts.append(part._replace(results=results))

    def _kept(self, result: ItemResult) -> ItemResult:
        if not isinstance(result, InvalidItem):
            self.transactions += 1
            return result
        kind = type(result)
        if self._room:
            self._room -= 1
            self.invalid_bytes += result.held_bytes
            self._last[kind] = result
        return self._last.setdefault(kind, result)
