"""A feed's share of the rate, so that the replay of one feed leaves room for the others.

What the feeds file allows a feed is parted among the gate's workers by feeds_in_force.py.
"""

from math import ceil

from app.errors import RateLimited

# Whoever waits just as long as told finds 99.99999999 tokens instead of 100: times are no exact numbers.
_ROUNDING = 1e-6


class RateShare:
    """A bucket of as many tokens as the feed may send in a second, refilled at that rate; one a transaction.

    A body is taken whole or refused whole. One with more transactions than the bucket holds could never be
    taken; so it is when the bucket is full, and leaves it below zero: with a share of 100, a block of 1,000
    is taken, and nothing more for 9 seconds and that of the next body.
    """

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self._capacity = max(per_second, 1.0)
        self._level, self._filled_at = self._capacity, 0.0

    def take(self, count: int, now: float) -> None:
        """Take a body of so many transactions; `now` is in seconds of a clock that never goes back.

        Raises:
            RateLimited: there is no room, with the seconds after which there is if nothing else comes first.
        """
        self._fill(now)
        missing = min(count, self._capacity) - self._level
        if missing > _ROUNDING and count:
            raise RateLimited(
                f"this feed may send {self.per_second:g} transactions a second "
                f"(transactions_per_second), and has no room for {count} more now",
                max(1, ceil(missing / self.per_second)),
            )
        self._level -= count

    def _fill(self, now: float) -> None:
        self._level = min(self._capacity, self._level + (now - self._filled_at) * self.per_second)
        self._filled_at = now
