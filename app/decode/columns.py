"""Transactions in columns: each step on their way needs a field or two of them, and of all at once."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, groupby
from typing import Self, TypeVar, overload

import msgspec

from app.models import Transaction

T = TypeVar("T")


class Columns(Sequence[Transaction]):
    """A sequence of transactions that is held as a column for each field."""

    __slots__ = ("payloads", "signatures", "slots", "sources")

    def __init__(
        self,
        signatures: Sequence[str],
        sources: Sequence[str],
        slots: Sequence[int | None],
        payloads: Sequence[msgspec.Raw],
    ) -> None:
        self.signatures = signatures
        self.sources = sources
        self.slots = slots
        self.payloads = payloads

    @classmethod
    def of(cls, items: Sequence[Transaction]) -> Self:
        """The same transactions; what is a batch already stays as it is."""
        if isinstance(items, cls):
            return items
        return cls(
            [item.signature for item in items],
            [item.source or "" for item in items],
            [item.slot for item in items],
            [item.payload for item in items],
        )

    @classmethod
    def joined(cls, parts: Iterable[Sequence[Transaction]]) -> Self:
        """Those of all parts, in order; parts that are no batches become one together."""
        batches: list[Self] = []
        for kind, group in groupby(parts, type):
            if kind is cls:
                batches += group  # type: ignore[arg-type]  # mypy does not know that the key is the type
            else:
                batches.append(cls.of([item for part in group for item in part]))
        if len(batches) == 1:
            return batches[0]
        return cls(
            list(chain.from_iterable([batch.signatures for batch in batches])),
            list(chain.from_iterable([batch.sources for batch in batches])),
            list(chain.from_iterable([batch.slots for batch in batches])),
            list(chain.from_iterable([batch.payloads for batch in batches])),
        )

    def __len__(self) -> int:
        return len(self.signatures)

    @overload
    def __getitem__(self, at: int) -> Transaction: ...
    @overload
    def __getitem__(self, at: slice) -> "Columns": ...
    def __getitem__(self, at: int | slice) -> "Transaction | Columns":
        if isinstance(at, slice):
            return Columns(self.signatures[at], self.sources[at], self.slots[at], self.payloads[at])
        return Transaction(self.signatures[at], self.sources[at], self.slots[at], self.payloads[at])

    def only(self, places: Sequence[int]) -> "Columns":
        """Those at these places, in this order; a range is one without steps."""
        if not isinstance(places, range) and places:
            together = range(places[0], places[0] + len(places))
            places = together if places == list(together) else places
        if isinstance(places, range):
            return self[places.start : places.stop]
        return Columns(
            [self.signatures[at] for at in places],
            [self.sources[at] for at in places],
            [self.slots[at] for at in places],
            [self.payloads[at] for at in places],
        )


def count_values(values: Sequence[T]) -> Mapping[T, int]:
    """How often each of them is there; quick where all are the same, as sources and codes mostly are."""
    first = values[0]
    return {first: len(values)} if values.count(first) == len(values) else Counter(values)
