"""The budget of bodies: what is set, and where memory has a limit, what has room below it."""

import pytest

from app.decode.budget import BODY_COST, LEAST_BYTES, ByteBudget
from app.errors import Overloaded
from app.models import MemoryHeadroom

MIB = 1024 * 1024


def test_without_a_memory_limit_the_setting_holds() -> None:
    budget = ByteBudget(64 * MIB, MemoryHeadroom())
    budget.take(64 * MIB)
    with pytest.raises(Overloaded, match="already hold 67108864 of 67108864"):
        budget.take(1)
    budget.release(MIB)
    budget.take(MIB)


def test_with_one_bodies_may_take_what_their_processing_has_room_for() -> None:
    headroom = MemoryHeadroom(room_bytes=40 * MIB)
    budget = ByteBudget(64 * MIB, headroom)
    budget.take(40 * MIB // BODY_COST)
    with pytest.raises(Overloaded):
        budget.take(1)
    headroom.room_bytes = 400 * MIB
    budget.take(MIB)


def test_little_bodies_are_read_however_little_room_there_is() -> None:
    budget = ByteBudget(64 * MIB, MemoryHeadroom(room_bytes=0))
    budget.take(LEAST_BYTES)
    with pytest.raises(Overloaded):
        budget.check(1)
