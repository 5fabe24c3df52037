"""Transactions and their answers in columns: a list for each field instead of an object for each transaction.

500 transactions of a request are four lists of 500: signatures, sources, slots and payloads. Every step on
their way needs a field or two of all of them: hashing the signatures, the limit of the queue the lengths of
the payloads. That is one list at a time.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress, groupby, islice, pairwise
from operator import ne
from typing import Self, TypeVar, overload

import msgspec

from app.errors import HttpError
from app.models import ACCEPTED, FAILED, REFUSED, Answer, Transaction, Verdict

T = TypeVar("T")
Repeats = Sequence[tuple[int, int]]
"""Pairs of places: where a value comes again, and where it came first."""
_SHORT_STRETCH = 16
"""Transactions in a row of one source, see `count_outcomes`."""


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
        """Return the transactions at these places, in this order; a range is one without steps."""
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


def count_outcomes(sources: Sequence[str], codes: Sequence[int]) -> Mapping[tuple[str, int], int]:
    """Return how often each source got each code (see `Answers`), of the transactions of a flush."""
    first, count = sources[0], len(sources)
    if sources.count(first) == count:
        return {(first, code): times for code, times in count_values(codes).items()}
    # Counting pairs takes ten times as long as counting codes. So stretches of one source, such as a request
    # of 500, are found and counted by their codes, unless they are short.
    borders = list(compress(range(1, count), map(ne, sources, islice(sources, 1, None))))
    if len(borders) > count // _SHORT_STRETCH:
        return Counter(zip(sources, codes, strict=True))
    counts: Counter[tuple[str, int]] = Counter()
    for start, end in pairwise([0, *borders, count]):
        for code, times in count_values(codes[start:end]).items():
            counts[sources[start], code] += times
    return counts


def first_places(values: Sequence[T]) -> tuple[Sequence[int], Repeats]:
    """Return where each different value stands first, and the repeats: of A B A, places 0 1, and (2, 0)."""
    count = len(values)
    if count == 1 or len(set(values)) == count:
        return range(count), ()
    first_at: dict[T, int] = {}
    firsts = list(map(first_at.setdefault, values, range(count)))  # the place where each stands first
    return list(first_at.values()), [(at, first) for at, first in enumerate(firsts) if at != first]


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
