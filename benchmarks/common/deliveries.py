"""Which batch a feed delivers next: a new one, or a copy of one that another feed began.

A copy is due some time after its batch was begun. With `behind` in the plan that time is told in batches, the
first feed begins all of them, and the two others follow it. Without, it is told in requests: whichever feed
has nothing due begins a batch, and the last copy of it comes three requests a connection later.
"""

from heapq import heappop, heappush
from math import ceil

from benchmarks.common.bodies import Body
from benchmarks.common.plan import FEEDS, Plan

# The last copy of a batch comes so many requests a connection after the first.
SPREAD = 3


def bodies_needed(plan: Plan) -> int:
    """How many batches may be under way at once."""
    more = ceil(plan.per_second or 0)  # a second's, so that a post never waits for a body
    if plan.behind:
        return more + max(plan.behind) // plan.batch_items * 2 + 8
    return more + (SPREAD + 1) * plan.connections + 8


class Deliveries:
    """Deals out the bodies of a pool; one is made fresh when its last copy was answered."""

    def __init__(self, pool: list[Body], plan: Plan) -> None:
        self._pool, self._copies = pool, plan.copies
        self._spread = SPREAD * plan.connections
        self._lags = [number // plan.batch_items for number in plan.behind or ()]
        self._due: list[list[tuple[float, int]]] = [[] for _ in range(min(len(FEEDS), plan.connections))]
        self._left: dict[int, int] = {}
        self._begun = self._given = 0
        self._is_ending = False

    def take(self, feed: int) -> tuple[int, bytearray] | None:
        """The next batch of a feed and its body; None while there is none to deliver."""
        due, clock = self._due[feed], self._begun if self._lags else self._given
        if due and due[0][0] <= clock:
            _, number = heappop(due)
        elif self._may_begin:
            if self._lags and feed:
                return None
            number = self._begin(feed)
        elif due:
            _, number = heappop(due)
        else:
            return None
        self._given += 1
        return number, self._body(number).data

    def answered(self, number: int) -> bool:
        """Note that one delivery of a batch got its answer; whether it was the last."""
        self._left[number] -= 1
        if self._left[number]:
            return False
        del self._left[number]
        return True

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
        # With 1.5 copies on average a batch is delivered once and twice in turn.
        copies = int((number + 1) * self._copies + 1e-6) - int(number * self._copies + 1e-6)
        self._left[number] = copies
        self._body(number).renew(number // len(self._pool))
        for copy in range(1, copies):
            if self._lags:
                due: float = number + self._lags[copy - 1]
            else:
                due = self._given + self._spread * copy / (copies - 1)
            heappush(self._due[(feed + copy) % len(self._due)], (due, number))
        return number

    def _body(self, number: int) -> Body:
        return self._pool[number % len(self._pool)]
