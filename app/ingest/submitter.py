"""Submits the items of a request: the valid ones are flushed, the others are listed with what is wrong.

Of 500 lines of which two are no transactions, 498 go to the coalescer, and the summary says: 490 accepted, 8
duplicate (and at which indices), 2 invalid (and why). Its lists are bounded, its numbers are exact. Every
transaction is counted once: by its flush when that answers, and here as refused or failed when it does not.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.decode.columns import Answers, Columns, count_values
from app.decode.item import InvalidItem, ItemResult
from app.decode.turns import portions
from app.errors import HttpError, MapFull, RetryLater
from app.ingest.coalescer import Coalescer, joined_answers
from app.metrics.catalogue import Metrics
from app.models import ACCEPTED, REFUSED, Transaction

MAX_LISTED = 10_000
# Others are served after so many invalid items.
LISTED_AT_ONCE = 500
# As JSON has them: a control character takes six bytes there.
MAX_DETAIL_BYTES = 1024 * 1024
ERROR_BYTES, INDEX_BYTES = 400, 40
_encode = msgspec.json.Encoder().encode


class ItemError(msgspec.Struct, frozen=True):
    """What is wrong with the item at this index of the request."""

    index: int
    detail: str


@dataclass
class Summary:
    """The answer to a batch; what is not listed was accepted, unless `truncated`."""

    accepted: int = 0
    duplicate: int = 0
    invalid: int = 0
    duplicates: list[int] = field(default_factory=list)
    errors: list[ItemError] = field(default_factory=list)
    truncated: bool = False
    skipped: int | None = None
    """Transactions that a feed is told to skip; None where there is no such thing."""
    is_shown: bool = False
    """Whether an error shows it too."""
    detail_bytes: int = 0
    """How many bytes the details in the list of errors take together, as JSON."""

    @property
    def listed_bytes(self) -> int:
        """Return about how many bytes the lists take."""
        return ERROR_BYTES * len(self.errors) + self.detail_bytes + INDEX_BYTES * len(self.duplicates)

    @property
    def items(self) -> int:
        """Return how many items were counted so far."""
        return self.accepted + self.duplicate + self.invalid

    def note_invalid(self, index: int, detail: str) -> None:
        """Count an invalid item."""
        self.invalid += 1
        if len(self.errors) < MAX_LISTED and self.detail_bytes < MAX_DETAIL_BYTES:
            self.detail_bytes += len(_encode(detail))
            self.errors.append(ItemError(index, detail))
        else:
            self.truncated = True

    def note(self, indices: Sequence[int], codes: Sequence[int]) -> None:
        """Count answered items, none of them refused, by their indices in the request."""
        accepted = codes.count(ACCEPTED)
        self.accepted += accepted
        if accepted == len(codes):
            return
        duplicates = indices
        if accepted:
            duplicates = [index for index, code in zip(indices, codes, strict=True) if code != ACCEPTED]
        self.duplicate += len(duplicates)
        room = MAX_LISTED - len(self.duplicates)
        self.duplicates += duplicates[:room]
        self.truncated |= len(duplicates) > room

    def as_dict(self) -> dict[str, object]:
        """Return the members of the JSON answer."""
        members: dict[str, object] = {
            "accepted": self.accepted,
            "duplicate": self.duplicate,
            "invalid": self.invalid,
            **({} if self.skipped is None else {"skipped": self.skipped}),
            "duplicates": self.duplicates,
            "errors": self.errors,
        }
        return members | ({"truncated": True} if self.truncated else {})


class Submitter:
    """Sends the valid items of a request to the gate, and counts those that get no answer."""

    def __init__(self, coalescer: Coalescer, metrics: Metrics) -> None:
        self._coalescer = coalescer
        self._metrics = metrics

    async def submit(self, items: Sequence[Transaction]) -> Answers:
        """Answer valid transactions.

        Raises:
            MapFull: some were refused because signatures are at their limit; the others are stored.
            RetryLater: the queue is full or the service stops, and none is stored; or the flush of some
            failed.
        """
        try:
            chunks = await self._coalescer.submit(items)
        except RetryLater as refusal:
            self._count(items, "refused")
            refusal.is_counted = True
            raise
        failures = [(chunk.items, chunk.outcome) for chunk in chunks if isinstance(chunk.outcome, HttpError)]
        for unanswered, _ in failures:
            self._count(unanswered, "failed")
        for _, error in failures:
            raise _again(error)
        answers = joined_answers(chunks)
        if REFUSED in answers.codes:
            raise _map_full()
        return answers

    def error_of(self, item: Transaction, outcome: Answers | Exception) -> Exception:
        """Return the error for a transaction whose flush failed, or that was refused by its answers."""
        if not isinstance(outcome, Exception):
            return _map_full()
        self._count([item], "failed")
        return _again(outcome) if isinstance(outcome, HttpError) else outcome

    async def submit_batch(
        self, results: Sequence[ItemResult], summary: Summary, default_source: str
    ) -> None:
        """Answer the valid items of a batch and add everything to the summary; indices go on from it."""
        first = summary.items
        indices: Sequence[int] = range(first, first + len(results))
        valid: Sequence[Any] = results
        if not isinstance(results, Columns) and set(map(type, results)) - {Transaction}:
            valid = [item for item in results if isinstance(item, Transaction)]
            indices = [at for at, item in zip(indices, results, strict=True) if isinstance(item, Transaction)]
        if valid:
            answers = await self.submit(valid)
            summary.note(indices, answers.codes)
        if len(valid) < len(results):
            await self.list_invalid(results, summary, first, default_source)

    async def list_invalid(
        self, results: Sequence[ItemResult], summary: Summary, first: int, default_source: str
    ) -> None:
        """Count what is invalid, and add it to the summary; the first result has the index `first`."""
        wrong = [(at, item) for at, item in enumerate(results, first) if isinstance(item, InvalidItem)]
        async for some in portions(wrong, LISTED_AT_ONCE):
            for at, item in some:
                summary.note_invalid(at, str(item))
        self.count_invalid(default_source, len(wrong))

    def count_invalid(self, source: str, amount: int = 1) -> None:
        """Count invalid items under the request's default source: their own cannot be trusted."""
        self._metrics.count_transactions(source, "invalid", amount)

    def _count(self, items: Sequence[Transaction], outcome: str) -> None:
        for source, amount in count_values(Columns.of(items).sources).items():
            self._metrics.count_transactions(source, outcome, amount)


def _again(error: HttpError) -> HttpError:
    """Copy an error without its traceback, which holds the items of a whole flush; those were counted."""
    again = copy(error)
    if isinstance(again, RetryLater):
        again.is_counted = True
    return again


def _map_full() -> MapFull:
    error = MapFull(
        "signatures are at TIDEGATE_SIGNATURES_LIMIT; those refused fit when the window has passed"
    )
    error.is_counted = True
    return error
