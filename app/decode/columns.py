"""Transactions and their answers in columns: a list for each field instead of an object for each transaction.

500 transactions of a request are four lists of 500: signatures, sources, slots and payloads. Every step on
their way needs a field or two of all of them: hashing the signatures, the limit of the queue the lengths of
the payloads. That is one list at a time.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Self, TypeVar, overload

import msgspec

from app.errors import HttpError
from app.models import ACCEPTED, FAILED, REFUSED, Answer, Transaction, Verdict

T = TypeVar("T")


class Columns(Sequence[Transaction]):
    """A sequence of transactions that is held as a list for each field, all of one length."""

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
        """Return transactions as columns; columns are returned as they are."""
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
        """Return the transactions of all parts, in order."""
        joined: list[Self] = []
        for kind, group in groupby(parts, type):
            if kind is cls:
                joined += group  # type: ignore[arg-type]  # mypy does not know that the key is the type
            else:
                joined.append(cls.of([item for part in group for item in part]))
        if len(joined) == 1:
            return joined[0]
        return cls(
            list(chain.from_iterable([columns.signatures for columns in joined])),
            list(chain.from_iterable([columns.sources for columns in joined])),
            list(chain.from_iterable([columns.slots for columns in joined])),
            list(chain.from_iterable([columns.payloads for columns in joined])),
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
        """Return those at these places, in this order; a range is one without steps."""
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
    """Return how often each value is there; quick where all are the same, as sources and codes mostly are."""
    first = values[0]
    return {first: len(values)} if values.count(first) == len(values) else Counter(values)


@dataclass(slots=True)
class Answers:
    """The answers to transactions in their order, in columns: an object each would cost too much."""

    clocks: Sequence[int]
    """The store's clock when it decided, milliseconds since the epoch."""
    codes: Sequence[int]
    """ACCEPTED, REFUSED, FAILED, or one more than the milliseconds since the acceptance of a duplicate."""
    errors: Mapping[int, HttpError] = field(default_factory=dict)
    """The error of each that failed, by its place."""

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[Answer]:
        return map(_answer, self.clocks, self.codes)

    def __getitem__(self, at: int) -> Answer:
        return _answer(self.clocks[at], self.codes[at])

    def part(self, start: int, end: int) -> "Answers":
        """The answers to a part of the transactions."""
        errors = {at - start: error for at, error in self.errors.items() if start <= at < end}
        return Answers(self.clocks[start:end], self.codes[start:end], errors)

    @classmethod
    def joined(cls, parts: "Sequence[Answers]") -> "Answers":
        """Return the answers of all parts, in order."""
        if len(parts) == 1:
            return parts[0]
        errors, start = dict[int, HttpError](), 0
        for part in parts:
            errors |= {start + at: error for at, error in part.errors.items()}
            start += len(part)
        clocks = list(chain.from_iterable([part.clocks for part in parts]))
        return cls(clocks, list(chain.from_iterable([part.codes for part in parts])), errors)

    @classmethod
    def failed(cls, count: int, error: HttpError) -> Self:
        """Return the answers to so many transactions that failed alike."""
        return cls([0] * count, [FAILED] * count, dict.fromkeys(range(count), error))


def _answer(clock: int, code: int) -> Answer:
    if code == ACCEPTED:
        return Answer(Verdict.ACCEPTED, clock)
    if code in (REFUSED, FAILED):
        return Answer(Verdict.REFUSED if code == REFUSED else Verdict.FAILED, None)
    return Answer(Verdict.DUPLICATE, clock - (code - 1))
