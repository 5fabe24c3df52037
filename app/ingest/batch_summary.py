"""The answer to a batch: how many items were accepted, duplicate and invalid, and which.

Its numbers are exact, its lists are bounded: at most 10,000 duplicates and as many errors, whose sentences
take 1 MiB together. Past that the answer says `truncated`. For example, of 500 lines with two invalid ones:

    {"accepted":490,"duplicate":8,"invalid":2,"duplicates":[3,…],"errors":[{"index":7,"detail":"…"},…]}
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from app.decode.columns import Answers
from app.errors import StoreError
from app.ingest.json_list import JsonList
from app.models import ACCEPTED

MAX_LISTED = 10_000
# As JSON has them: a control character takes six bytes there.
MAX_DETAIL_BYTES = 1024 * 1024
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
    failed: int = 0
    """Items whose call to the store failed; they stand among the errors, and are to be sent again."""
    duplicates: JsonList = field(default_factory=JsonList)
    errors: JsonList = field(default_factory=JsonList)
    first_detail: str | None = None
    """What the first error says."""
    truncated: bool = False
    skipped: int | None = None
    """Transactions that a feed is told to skip; None where there is no such thing."""
    is_shown: bool = False
    """Whether an error shows it too."""
    detail_bytes: int = 0
    """How many bytes the details in the list of errors take together, as JSON."""

    @property
    def listed_bytes(self) -> int:
        """Return how many bytes the lists take."""
        return self.errors.held_bytes + self.duplicates.held_bytes

    @property
    def items(self) -> int:
        """Return how many items were counted so far."""
        return self.accepted + self.duplicate + self.invalid + self.failed

    def note_invalid(self, index: int, detail: str) -> None:
        """Count an invalid item."""
        self.invalid += 1
        self._list_error(index, detail)

    def _list_error(self, index: int, detail: str) -> None:
        if self.first_detail is None:
            self.first_detail = detail
        if len(self.errors) < MAX_LISTED and self.detail_bytes < MAX_DETAIL_BYTES:
            self.detail_bytes += len(_encode(detail))
            self.errors.extend([ItemError(index, detail)])
        else:
            self.truncated = True

    def note(self, indices: Sequence[int], answers: Answers) -> None:
        """Count answered items, none of them refused, by their indices in the request.

        From the first on that has failed, an error shows the summary too.
        """
        codes = answers.codes
        if answers.errors:
            self.failed, self.is_shown = self.failed + len(answers.errors), True
            for at, error in sorted(answers.errors.items()):
                self._list_error(indices[at], error.advice if isinstance(error, StoreError) else str(error))
            answered = [at for at in range(len(codes)) if at not in answers.errors]
            indices, codes = [indices[at] for at in answered], [codes[at] for at in answered]
        accepted = codes.count(ACCEPTED)
        self.accepted += accepted
        if accepted == len(codes):
            return
        duplicates = indices
        if accepted:
            duplicates = [index for index, code in zip(indices, codes, strict=True) if code != ACCEPTED]
        self.duplicate += len(duplicates)
        room = MAX_LISTED - len(self.duplicates)
        self.duplicates.extend(duplicates[:room])
        self.truncated |= len(duplicates) > room

    def as_dict(self) -> dict[str, object]:
        """Return the members of the JSON answer."""
        members: dict[str, object] = {
            "accepted": self.accepted,
            "duplicate": self.duplicate,
            "invalid": self.invalid,
            **({"failed": self.failed} if self.failed else {}),
            **({} if self.skipped is None else {"skipped": self.skipped}),
            "duplicates": self.duplicates.as_json(),
            "errors": self.errors.as_json(),
        }
        return members | ({"truncated": True} if self.truncated else {})
