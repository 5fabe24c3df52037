"""Submits the items of a request: the valid ones are flushed, the others are listed with what is wrong.

Of 500 lines of which two are no transactions, 498 go to the flush queue. The summary (batch_summary.py) says:
490 accepted, 8 duplicate (and at which indices), 2 invalid (and why). Every transaction is counted once: by
its flush when that answers, and here as refused or failed when it does not.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any

from app.decode.columns import Answers, Columns, count_values
from app.decode.event_loop_turns import ITEMS_A_TURN, portions
from app.decode.item import InvalidItem, ItemResult
from app.errors import HttpError, MapFull, RetryLater
from app.ingest.batch_summary import Summary
from app.ingest.flush_queue import FlushQueue, joined_answers
from app.metrics.catalogue import Metrics
from app.models import REFUSED, Transaction

# Others are served after so many invalid items: as many as are decoded in a turn. A thousand bodies that wait
# once more, each with what is wrong in 506 lines, 230 bytes a line, would hold 116 MB of it.
LISTED_AT_ONCE = ITEMS_A_TURN


class Submitter:
    """Sends the valid items of a request to the gate, and counts those that get no answer."""

    def __init__(self, flush_queue: FlushQueue, metrics: Metrics) -> None:
        self._flush_queue = flush_queue
        self._metrics = metrics

    async def submit(self, items: Sequence[Transaction]) -> Answers:
        """Answer valid transactions.

        Raises:
            MapFull: some were refused because signatures are at their limit; the others are stored.
            RetryLater: the queue is full or the service stops, and none is stored; or some failed.
        """
        answers = await self._answers(items)
        for error in answers.errors.values():
            raise _again(error)
        if REFUSED in answers.codes:
            raise _map_full()
        return answers

    async def _answers(self, items: Sequence[Transaction]) -> Answers:
        """Answer valid transactions, of which some may have failed or been refused.

        Raises:
            RetryLater: the queue is full or the service stops, and none is stored; or all failed.
        """
        try:
            chunks = await self._flush_queue.submit(items)
        except RetryLater as refusal:
            self._count(items, "refused")
            refusal.is_counted = True
            raise
        failures = [(chunk.items, chunk.outcome) for chunk in chunks if isinstance(chunk.outcome, HttpError)]
        for unanswered, _ in failures:
            self._count(unanswered, "failed")
        if len(failures) == len(chunks):
            raise _again(failures[0][1])
        return joined_answers(chunks)

    def error_of(self, item: Transaction, outcome: Answers | Exception, at: int) -> Exception:
        """Return the error for a transaction that failed, or was refused, at its place in the outcome."""
        if not isinstance(outcome, Exception):
            return _again(outcome.errors[at]) if at in outcome.errors else _map_full()
        self._count([item], "failed")
        return _again(outcome) if isinstance(outcome, HttpError) else outcome

    async def submit_batch(
        self, results: Sequence[ItemResult], summary: Summary, default_source: str
    ) -> None:
        """Answer the valid items of a batch and add everything to the summary; indices go on from it.

        Raises:
            MapFull: some were refused because signatures are at their limit; the others are stored.
            RetryLater: the queue is full or the service stops, and none is stored; or some failed, and the
            summary says which, unless all did.
        """
        first, errors = summary.items, list[HttpError]()
        indices: Sequence[int] = range(first, first + len(results))
        valid: Sequence[Any] = results
        if not isinstance(results, Columns) and set(map(type, results)) - {Transaction}:
            valid = [item for item in results if isinstance(item, Transaction)]
            indices = [at for at, item in zip(indices, results, strict=True) if isinstance(item, Transaction)]
        if valid:
            answers = await self._answers(valid)
            if REFUSED in answers.codes:
                raise _map_full()
            errors += answers.errors.values()
            summary.note(indices, answers)
        if len(valid) < len(results):
            await self.list_invalid(results, summary, first, default_source)
        for error in errors:
            raise _again(error)

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
