"""Which batch is delivered next, be it once or a hundred times, and whether the answers are true."""

from collections.abc import Callable
from heapq import heappop, heappush

from benchmarks.bench.bodies import Body
from benchmarks.bench.ledger import FEEDS, Ledger, WrongAnswerError
from benchmarks.bench.loader import Deliveries

# The last copy of a batch comes so many requests a connection after the first.
SPREAD = 3


def bodies_needed(connections: int) -> int:
    """So many batches may be under way at once."""
    return (SPREAD + 1) * connections + 8


class Copies(Deliveries):
    """A feed delivers what is due of it, or begins a batch; its copies go to the other feeds in turn."""

    def __init__(self, pool: list[Body], copies: float, connections: int) -> None:
        super().__init__(pool, (0,) * FEEDS)
        self._copies, self._spread = copies, SPREAD * connections
        self._due: list[list[tuple[float, int]]] = [[] for _ in range(min(FEEDS, connections))]
        self._left: dict[int, int] = {}
        self._begun = self._given = 0
        self._is_ending = False

    def copies_of(self, number: int) -> int:
        """How often a batch is delivered."""
        return int((number + 1) * self._copies + 1e-6) - int(number * self._copies + 1e-6)

    def take(self, feed: int) -> tuple[int, bytearray] | None:
        """The next batch of a feed and its body; None while there is none to deliver."""
        due = self._due[feed]
        if self._may_begin and not (due and due[0][0] <= self._given):
            number = self._begin(feed)
        elif due:
            _, number = heappop(due)
        else:
            return None
        self._given += 1
        return number, self._body(number).data

    def answered(self, number: int) -> None:
        """One delivery got its answer."""
        self._left[number] -= 1
        if not self._left[number]:
            del self._left[number]

    def finish(self) -> None:
        """Begin no further batch; what is left of those begun is delivered."""
        self._is_ending = True

    @property
    def is_over(self) -> bool:
        """Whether everything was answered."""
        return self._is_ending and not self._left

    @property
    def _may_begin(self) -> bool:
        return not self._is_ending and self._begun - len(self._pool) not in self._left

    def _begin(self, feed: int) -> int:
        number, self._begun = self._begun, self._begun + 1
        copies = self._left[number] = self.copies_of(number)
        self._body(number).renew(number // len(self._pool))
        for copy in range(1, copies):
            due = self._given + self._spread * copy / (copies - 1)
            heappush(self._due[(feed + copy) % len(self._due)], (due, number))
        return number

    def _body(self, number: int) -> Body:
        return self._pool[number % len(self._pool)]


class CopiesLedger(Ledger):
    """Each transaction accepted exactly once, however often it is delivered."""

    def __init__(self, batch_items: int, copies_of: Callable[[int], int]) -> None:
        super().__init__(batch_items)
        self._copies_of = copies_of

    def note(self, batch: int, answer: bytes) -> None:
        """Take an answer about a batch.

        Raises:
            WrongAnswerError: it does not add up, or accepts again what was accepted.
        """
        accepted = self._single(answer) if self._items == 1 else self._summary(answer)
        before = self._masks.get(batch, 0)
        if accepted & before:
            raise WrongAnswerError(f"batch {batch}: {(accepted & before).bit_count()} accepted a second time")
        self._masks[batch] = before | accepted
        self._answers[batch] = self._answers.get(batch, 0) + 1
        if self._answers[batch] == self._copies_of(batch):
            self._finish(batch)
