"""When a worker counts as hanging."""

import itertools
from collections.abc import Iterable

from app.workers.pool.heartbeat import MISSED, hangs


async def asked(answers: Iterable[bool], stops_after: int | None = None) -> tuple[bool, int]:
    """Whether it hangs, and how often it was asked."""
    coming, count = iter(answers), 0

    async def answer() -> bool:
        nonlocal count
        count += 1
        return next(coming)

    async def stops() -> bool:
        return count == stops_after

    return await hangs(answer, stops), count


async def test_it_hangs_when_answers_are_missing_in_a_row() -> None:
    assert await asked([True, True, *[False] * MISSED]) == (True, 2 + MISSED)


async def test_an_answer_that_comes_after_one_is_missing_makes_it_good() -> None:
    once = [False] * (MISSED - 1) + [True]
    assert await asked([*once, *once, *[False] * MISSED]) == (True, 3 * MISSED)


async def test_nobody_asks_once_all_are_stopped() -> None:
    assert await asked(itertools.repeat(True), stops_after=3) == (False, 3)
    assert await asked(itertools.repeat(False), stops_after=1) == (False, 1)
