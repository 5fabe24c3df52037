"""What a request's items become: answers, counts, and a summary with bounded lists."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from app.errors import HttpError, MapFull
from app.ingest.coalescer import Coalescer
from app.ingest.decode import InvalidItem, Judged
from app.metrics import Metrics
from app.models import Answer, Transaction, Verdict

MAX_LISTED = 10_000
ERROR_BYTES, INDEX_BYTES = 400, 40


class ItemError(msgspec.Struct, frozen=True):
    """An invalid item by its index in the request."""

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

    @property
    def listed_bytes(self) -> int:
        """About what the lists take."""
        return ERROR_BYTES * len(self.errors) + INDEX_BYTES * len(self.duplicates)

    @property
    def items(self) -> int:
        """Items judged so far."""
        return self.accepted + self.duplicate + self.invalid

    def note_invalid(self, index: int, detail: str) -> None:
        """Count an invalid item."""
        self.invalid += 1
        if len(self.errors) < MAX_LISTED:
            self.errors.append(ItemError(index, detail))
        else:
            self.truncated = True

    def note(self, index: int, answer: Answer) -> None:
        """Count an answered item."""
        if answer.verdict is Verdict.ACCEPTED:
            self.accepted += 1
            return
        self.duplicate += 1
        if len(self.duplicates) < MAX_LISTED:
            self.duplicates.append(index)
        else:
            self.truncated = True

    def as_dict(self) -> dict[str, object]:
        """The members of the JSON answer."""
        members: dict[str, object] = {
            "accepted": self.accepted,
            "duplicate": self.duplicate,
            "invalid": self.invalid,
            "duplicates": self.duplicates,
            "errors": self.errors,
        }
        return members | ({"truncated": True} if self.truncated else {})


class Intake:
    """Sends the valid items of a request to the gate and keeps the ingest counters."""

    def __init__(self, coalescer: Coalescer, metrics: Metrics) -> None:
        self._coalescer = coalescer
        self._metrics = metrics
        self.totals: Counter[str] = Counter()

    async def admit(self, items: Sequence[Transaction]) -> list[Answer]:
        """Answer valid transactions.

        Raises:
            MapFull: some were refused because signatures are at their limit; the others are stored.
            RetryLater: as `Coalescer.submit`.
        """
        try:
            outcomes = await self._coalescer.submit(items)
        except HttpError:
            self._count(Counter((item.source or "", "refused") for item in items))
            raise
        pairs = zip(items, outcomes, strict=True)
        self._count(Counter((item.source or "", _name(outcome)) for item, outcome in pairs))
        answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
        if len(answers) < len(outcomes):
            raise next(outcome for outcome in outcomes if isinstance(outcome, HttpError))
        if any(answer.verdict is Verdict.REFUSED for answer in answers):
            raise MapFull(
                "signatures are at TIDEGATE_SIGNATURES_LIMIT; those refused fit when the window has passed"
            )
        return answers

    async def admit_batch(self, judged: Sequence[Judged], summary: Summary, default_source: str) -> None:
        """Answer the valid items of a batch and add everything to the summary; indices go on from it."""
        first = summary.items
        valid = [(at, item) for at, item in enumerate(judged, first) if isinstance(item, Transaction)]
        answers = await self.admit([item for _, item in valid]) if valid else []
        for (at, _), answer in zip(valid, answers, strict=True):
            summary.note(at, answer)
        for at, item in enumerate(judged, first):
            if isinstance(item, InvalidItem):
                summary.note_invalid(at, str(item))
        self.count_invalid(default_source, len(judged) - len(valid))

    def count_invalid(self, source: str, amount: int = 1) -> None:
        """Count invalid items under the request's default source: their own cannot be trusted."""
        if amount:
            self._count(Counter({(source, "invalid"): amount}))

    def _count(self, counts: Counter[tuple[str, str]]) -> None:
        for (source, outcome), amount in counts.items():
            self.totals[outcome] += amount
            self._metrics.count_transactions(source, outcome, amount)


def _name(outcome: Answer | HttpError) -> str:
    return str(outcome.verdict) if isinstance(outcome, Answer) else "failed"
