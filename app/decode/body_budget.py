"""Bounds the bytes of request bodies that are held at once, by all requests together.

With 64 MiB allowed and 40 MiB of memory left below the limit of the process, bodies may hold 10 MiB: to work
through one takes four times its bytes.

A signed body has to be held whole before it is known whether its sender has the secret. Anybody can send such
bodies, so that together they may hold half of the budget: the other half is for senders who are known. And
anybody can send them a byte at a time, so that they may be half as many as requests may be under way.

A known sender may be slow as well. So its bodies that are still coming in leave room to those of others.

What inflates a body with gzip counts like its bytes, or two thousand that come slowly would hold 80 MiB.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from app.errors import Overloaded

# At its peak a body takes 3.3 times its bytes, measured: payloads, their block, what goes to the store.
BODY_COST = 4
LEAST_BYTES = 1 << 20
# Bodies that are not verified yet may hold one part of so many, and be as many as one part of the requests.
UNVERIFIED_PARTS = 2
# Of one body with gzip as long as it comes in: zlib keeps the last 32 KiB that came out, and its tables.
INFLATER_BYTES = 40 * 1024


def most_unverified(most: int, room: int) -> int:
    """Return how long a body may be, `most` bytes otherwise, as long as its sender is not verified.

    `room` is that of all bodies together.
    """
    return min(most, room // UNVERIFIED_PARTS)


def most_inflated(most: int, room: int) -> int:
    """Return to how much a body may inflate that is held whole, `most` bytes otherwise.

    `room` is what it may hold, with what inflates it.
    """
    return min(most, room - INFLATER_BYTES)


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
        self.senders: dict[str, Sender] = {}
        """The senders whose bodies are coming in, by their names."""

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


@dataclass(slots=True)
class Sender:
    """What the bodies of one sender hold that are coming in, and how many they are."""

    held: int = 0
    bodies: int = 0


class Arriving:
    """A body that is coming in, until it is whole: what it holds counts for its sender meanwhile.

    The bodies of one sender that are coming in may hold as much as all bodies leave free: of 64 MiB one
    sender has 32, and a second one then 16. The first body of a sender is not bound by that, since one alone
    may be as long as the budget.
    """

    def __init__(self, whole: ByteBudget, name: str) -> None:
        self.whole, self._name, self._held = whole, name, 0
        self._sender = whole.senders.setdefault(name, Sender())
        self._is_first = self._sender.bodies == 0
        self._sender.bodies += 1

    def take(self, amount: int) -> None:
        """Check bytes, and count them as held, by the whole budget too.

        Raises:
            Overloaded: too many are held.
        """
        self.check(amount)
        self.whole.hold(amount)
        self._sender.held += amount
        self._held += amount

    def check(self, amount: int) -> None:
        """Refuse bytes that could not be held.

        Raises:
            Overloaded: too many are held.
        """
        self.whole.check(amount)
        held, free = self._sender.held, self.whole.limit - self.whole.held
        if held + amount > free and not self._is_first:
            raise Overloaded(
                f"bodies that come in from {self._name} already hold {held} bytes, and {free} are free"
            )

    def release(self, amount: int) -> None:
        """Count bytes as held no more."""
        self._sender.held -= amount
        self._held -= amount
        self.whole.release(amount)

    def end(self) -> None:
        """Count the body for its sender no more: it is whole, or given up; a second call does nothing."""
        # What it holds from now on, or a second call, counts for one that has no part in the budget.
        sender, self._sender = self._sender, Sender()
        sender.held -= self._held
        sender.bodies -= 1
        if sender.bodies == 0:
            del self.whole.senders[self._name]
        self._held = 0
