"""Checks the answers of a gate: each transaction accepted exactly once, everything else a duplicate."""

import json
import re
from collections import defaultdict

# What a service says of one transaction, and what a store answers to `SET NX`.
_ACCEPTED, _DUPLICATE = (b'"status":"accepted"', b"+OK\r\n"), (b'"status":"duplicate"', b"$-1\r\n")
_COUNTS = re.compile(rb'"accepted":(\d+),"duplicate":(\d+),"invalid":(\d+)')


class WrongAnswerError(Exception):
    """A service answered something that is not true, or not an answer at all."""


class Ledger:
    """What was answered about each batch, as a mask with a bit for each item that was accepted."""

    def __init__(self, batch_items: int) -> None:
        self._items, self._every = batch_items, (1 << batch_items) - 1
        self._masks: defaultdict[int, int] = defaultdict(int)
        self.complete = 0

    def note(self, batch: int, answer: bytes, *, is_last: bool) -> None:
        """Take an answer about a batch; with the last one all of it has to be accepted.

        Raises:
            WrongAnswerError: it does not add up, accepts again what was accepted, or leaves something.
        """
        accepted = self._single(answer) if self._items == 1 else self._summary(answer)
        if again := accepted & self._masks[batch]:
            raise WrongAnswerError(f"batch {batch}: {again.bit_count()} accepted a second time")
        self._masks[batch] |= accepted
        if is_last:
            if missing := self._every & ~self._masks.pop(batch):
                told = f"{missing.bit_count()} called duplicates, never accepted"
                raise WrongAnswerError(f"batch {batch}: {told}")
            self.complete += 1

    def _single(self, answer: bytes) -> int:
        is_accepted = any(word in answer for word in _ACCEPTED)
        if not is_accepted and not any(word in answer for word in _DUPLICATE):
            raise WrongAnswerError(f"neither accepted nor duplicate: {answer[:300]!r}")
        return int(is_accepted)

    def _summary(self, answer: bytes) -> int:
        counts = _COUNTS.search(answer)
        accepted, duplicate, invalid = map(int, counts.groups()) if counts else (0, 0, 0)
        if accepted + duplicate != self._items or invalid:
            raise WrongAnswerError(f"does not add up to {self._items}: {answer[:300]!r}")
        if not accepted or not duplicate:
            return self._every if accepted else 0
        places = set(json.loads(answer)["duplicates"])
        if len(places) != duplicate or not places <= set(range(self._items)):
            raise WrongAnswerError(f"{duplicate} duplicates, {len(places)} listed")
        return self._every & ~sum(1 << int(place) for place in places)
