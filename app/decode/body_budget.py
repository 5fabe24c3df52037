"""Bounds the bytes of request bodies that are held at once, by all requests together.

With 64 MiB allowed and 40 MiB of memory left below the limit of the process, bodies may hold 10 MiB: to work
through one takes four times its bytes.

A signed body has to be held whole before it is known whether its sender has the secret. Anybody can send such
bodies, so that together they may hold half of the budget: the other half is for senders who are known. And
anybody can send them a byte at a time, so that they may be half as many as requests may be under way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from app.errors import Overloaded

# At its peak a body takes 3.3 times its bytes, measured: payloads, their block, what goes to the store.
BODY_COST = 4
LEAST_BYTES = 1 << 20
# Bodies that are not verified yet may hold one part of so many, and be as many as one part of the requests.
UNVERIFIED_PARTS = 2


def most_unverified(most: int, room: int) -> int:
    """Return how long a body may be, `most` bytes otherwise, as long as its sender is not verified.

    `room` is that of all bodies together.
    """
    return min(most, room // UNVERIFIED_PARTS)


def most_inflated(most: int, room: int, sent: int) -> int:
    """Return to how much a body may inflate of which so many bytes, as they were sent, are held beside it."""
    return min(most, room - sent)


class Headroom(Protocol):
    """What memory allows: the guard writes it, and those that take requests in look before each."""

    @property
    def refuses(self) -> bool:
        """Tell whether nothing may be taken in."""

    @property
    def room_bytes(self) -> int | None:
        """Return the bytes left below the memory limit, None without one."""


class ByteBudget:
    """Counts the bytes of bodies that are held, and refuses those past the limit.

    `most` may be held, or less where little is left below the memory limit; `requests` may be under way.
    """

    def __init__(self, most: int, headroom: Headroom, requests: int) -> None:
        self.most, self._headroom = most, headroom
        self.held = 0
        self.unverified = UnverifiedPart(self, max(requests // UNVERIFIED_PARTS, 1))

    @property
    def limit(self) -> int:
        """Return how many bytes may be held now: 1 MiB however little room there is."""
        room = self._headroom.room_bytes
        return self.most if room is None else min(self.most, max(LEAST_BYTES, room // BODY_COST))

    def take(self, amount: int) -> None:
        """Check bytes, and count them as held.

        Raises:
            Overloaded: too many are held.
        """
        self.check(amount)
        self.hold(amount)

    def hold(self, amount: int) -> None:
        """Count bytes as held that were checked before."""
        self.held += amount

    def check(self, amount: int) -> None:
        """Refuse bytes that could not be held.

        Raises:
            Overloaded: too many are held.
        """
        limit = self.limit
        if self.held + amount > limit:
            raise Overloaded(f"bodies under way already hold {self.held} of {limit} bytes")

    def release(self, amount: int) -> None:
        """Count bytes as held no more."""
        self.held -= amount


class UnverifiedPart:
    """The part of a budget that bodies may hold while nobody knows whether their sender has the secret."""

    def __init__(self, whole: ByteBudget, most_bodies: int) -> None:
        self._whole, self._most_bodies = whole, most_bodies
        self.held = self.bodies = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Count a body that comes in and is verified within the block.

        Raises:
            Overloaded: too many do.
        """
        if self.bodies >= self._most_bodies:
            raise Overloaded(f"{self._most_bodies} bodies that are not verified yet are under way already")
        self.bodies += 1
        try:
            yield
        finally:
            self.bodies -= 1

    def take(self, amount: int) -> None:
        """Check bytes, and count them as held, by the whole budget too.

        Raises:
            Overloaded: too many are held.
        """
        self.check(amount)
        self._whole.hold(amount)
        self.held += amount

    def check(self, amount: int) -> None:
        """Refuse bytes that could not be held.

        Raises:
            Overloaded: too many are held.
        """
        self._whole.check(amount)
        limit = self._whole.limit // UNVERIFIED_PARTS
        if self.held + amount > limit:
            raise Overloaded(f"bodies that are not verified yet already hold {self.held} of {limit} bytes")

    def release(self, amount: int) -> None:
        """Count bytes as held no more."""
        self.hand_over(amount)
        self._whole.release(amount)

    def hand_over(self, amount: int) -> None:
        """Count bytes as verified: they are held by the whole budget alone from now on."""
        self.held -= amount
