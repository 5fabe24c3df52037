"""The budget of bodies: what is set, and where memory has a limit, what has room below it."""

from contextlib import ExitStack

import pytest

from app.decode.body_budget import BODY_COST, LEAST_BYTES, Arriving, ByteBudget
from app.errors import Overloaded
from app.models import MemoryHeadroom

MIB = 1024 * 1024
REQUESTS = 4


def test_without_a_memory_limit_the_setting_holds() -> None:
    budget = ByteBudget(64 * MIB, MemoryHeadroom(), REQUESTS)
    budget.take(64 * MIB)
    with pytest.raises(Overloaded, match="already hold 67108864 of 67108864"):
        budget.take(1)
    budget.release(MIB)
    budget.take(MIB)


def test_with_one_bodies_may_take_what_their_processing_has_room_for() -> None:
    headroom = MemoryHeadroom(room_bytes=40 * MIB)
    budget = ByteBudget(64 * MIB, headroom, REQUESTS)
    budget.take(40 * MIB // BODY_COST)
    with pytest.raises(Overloaded):
        budget.take(1)
    headroom.room_bytes = 400 * MIB
    budget.take(MIB)


def test_little_bodies_are_read_however_little_room_there_is() -> None:
    budget = ByteBudget(64 * MIB, MemoryHeadroom(room_bytes=0), REQUESTS)
    budget.take(LEAST_BYTES)
    with pytest.raises(Overloaded):
        budget.check(1)


def test_what_is_not_verified_leaves_half_of_the_room_to_others() -> None:
    headroom = MemoryHeadroom(room_bytes=40 * MIB)
    budget = ByteBudget(64 * MIB, headroom, REQUESTS)
    budget.unverified.take(5 * MIB)
    with pytest.raises(Overloaded, match="not verified yet already hold 5242880 of 5242880"):
        budget.unverified.take(1)
    budget.take(5 * MIB)
    budget.unverified.release(MIB)
    budget.unverified.hand_over(4 * MIB)
    assert (budget.held, budget.unverified.held) == (9 * MIB, 0)
    with pytest.raises(Overloaded, match="bodies under way"):
        budget.unverified.take(2 * MIB)


@pytest.mark.parametrize(("requests", "most"), [(4, 2), (5, 2), (1, 1)])
def test_bodies_that_are_not_verified_leave_half_of_the_places_to_other_requests(
    requests: int, most: int
) -> None:
    unverified = ByteBudget(64 * MIB, MemoryHeadroom(), requests).unverified
    with ExitStack() as held:
        for _ in range(most):
            held.enter_context(unverified.place())
        with pytest.raises(Overloaded, match=f"{most} bodies that are not verified"):
            held.enter_context(unverified.place())
    assert unverified.bodies == 0


def test_the_bodies_of_a_sender_that_come_in_hold_as_much_as_all_leave_free_but_for_the_first() -> None:
    budget = ByteBudget(64 * MIB, MemoryHeadroom(), REQUESTS)
    first, second, of_another = Arriving(budget, "a"), Arriving(budget, "a"), Arriving(budget, "b")
    first.take(30 * MIB)
    second.take(2 * MIB)
    with pytest.raises(Overloaded, match=f"from a already hold {32 * MIB} bytes, and {32 * MIB} are free"):
        second.take(1)
    of_another.take(20 * MIB)
    first.take(12 * MIB)
    with pytest.raises(Overloaded, match="bodies under way"):
        first.take(1)
    of_another.release(20 * MIB)
    first.end()
    second.take(1)  # what is whole is no longer among what comes in
    for one in (first, second, of_another):
        one.end()
    first.release(42 * MIB)
    second.release(2 * MIB + 1)
    assert (budget.held, budget.senders) == (0, {})
