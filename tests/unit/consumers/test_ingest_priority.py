"""Readers take turns, and take a part of the time while ingest has something to do."""

import asyncio

import pytest

from app.consumers.ingest_priority import CALM_SECONDS, PAUSE_SHARE, STEP_SECONDS, Pace
from app.consumers.waiter import Waiter


class Clock:
    """A clock that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr("app.consumers.ingest_priority.time.perf_counter", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def _turns_of_the_loop(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0.001)  # as often as it looks


async def test_while_ingest_is_busy_a_step_is_followed_by_a_pause_as_long_as_five_of_it(clock: Clock) -> None:
    pace = Pace(lambda: True)
    await pace.turn()
    pace.spent(clock.now - 0.010, 0)
    turn = asyncio.create_task(pace.turn())
    clock.now += PAUSE_SHARE * 0.010 - 0.001
    await _turns_of_the_loop()
    assert not turn.done()
    clock.now += 0.002
    await turn


async def test_a_step_that_moves_bytes_is_longer_by_what_they_take(clock: Clock) -> None:
    pace = Pace(lambda: True)
    pace.spent(clock.now, 100_000_000)
    turn = asyncio.create_task(pace.turn())
    await _turns_of_the_loop()
    assert not turn.done()
    clock.now += 1
    await turn


async def test_once_ingest_has_nothing_to_do_the_pause_is_over(clock: Clock) -> None:
    busy = True
    pace = Pace(lambda: busy)
    pace.spent(clock.now - 1, 0)
    turn = asyncio.create_task(pace.turn())
    await _turns_of_the_loop()
    assert not turn.done()
    busy = False
    await _turns_of_the_loop()
    assert not turn.done(), "feeds answer what they are answered"
    clock.now += CALM_SECONDS
    await turn


async def test_without_ingest_there_is_no_pause(clock: Clock) -> None:
    pace = Pace(lambda: False)
    pace.spent(clock.now - 1, 0)
    await asyncio.wait_for(pace.turn(), 60)


async def test_steps_are_given_in_the_order_in_which_they_were_asked_for(clock: Clock) -> None:
    busy, order = True, list[int]()
    pace = Pace(lambda: busy)
    pace.spent(clock.now - 1, 0)

    async def ask(number: int) -> None:
        await pace.turn()
        order.append(number)

    asked = [asyncio.create_task(ask(number)) for number in range(10)]
    await _turns_of_the_loop()
    asked[3].cancel()
    busy = False
    clock.now += CALM_SECONDS
    await asyncio.gather(*asked, return_exceptions=True)
    assert order == [0, 1, 2, 4, 5, 6, 7, 8, 9]


async def test_an_answer_has_every_other_step_however_many_streams_wait() -> None:
    pace, order = Pace(lambda: False), list[str]()

    async def ask(name: str, *, of_answer: bool) -> None:
        await pace.turn(of_answer=of_answer)
        order.append(name)

    streams = [asyncio.create_task(ask("stream", of_answer=False)) for _ in range(8)]
    await asyncio.sleep(0)
    answers = [asyncio.create_task(ask("answer", of_answer=True)) for _ in range(3)]
    await asyncio.gather(*streams, *answers)
    assert order[:6].count("answer") == 3
    assert order[6:] == ["stream"] * 5


async def test_an_answer_does_as_much_in_a_step_as_its_time_is_enough_for(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace, turns = Pace(lambda: False), 0
    turn = pace.turn

    async def counted(*, of_answer: bool = False) -> None:
        nonlocal turns
        turns += 1
        await turn(of_answer=of_answer)

    monkeypatch.setattr(pace, "turn", counted)
    done = []
    async for number in pace.in_steps(range(20)):
        done.append(number)
        clock.now += STEP_SECONDS / 4.5
    assert done == list(range(20))
    assert turns == 4, "five things a step"


async def test_to_be_woken_before_one_waits_is_not_lost() -> None:
    waiter = Waiter()
    waiter.wake()
    await asyncio.wait_for(waiter.wait(3600), 60)
    waiting = asyncio.create_task(waiter.wait(3600))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiter.wake()
    waiter.wake()
    await asyncio.wait_for(waiting, 60)
    again = asyncio.create_task(waiter.wait(3600))
    await asyncio.sleep(0)
    assert not again.done(), "one wake is one return"
    waiter.wake()
    await asyncio.wait_for(again, 60)


async def test_the_time_ends_a_wait() -> None:
    await asyncio.wait_for(Waiter().wait(0.001), 60)
    await asyncio.wait_for(Waiter().wait(0), 60)
