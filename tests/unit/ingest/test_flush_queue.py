"""Many requests become few flushes; each gets its own answers, whatever happens to the others."""

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from app.decode.columns import Answers
from app.errors import OutcomeUnknown, Overloaded, ShuttingDown, StoreTimeout
from app.ingest.flush_queue import CONCURRENT_FLUSHES, FLUSH_MAX_BYTES, FlushQueue
from app.models import Transaction
from tests.support.deliver import transaction
from tests.support.held_flushes import (
    Gatekeeper,
    all_accepted,
    flush_many,
    occupy,
    started_flush_queue,
    times_of,
    transactions,
)


def _flush_tasks() -> list[asyncio.Task[object]]:
    return sorted(
        (task for task in asyncio.all_tasks() if task.get_name().startswith("flush-")),
        key=asyncio.Task.get_name,
    )


async def test_a_large_request_is_cut_and_its_answers_come_in_order() -> None:
    keeper = Gatekeeper()
    keeper.open.set()
    async with started_flush_queue(keeper.flush, most=100) as flush_queue:
        answers = await flush_queue.submit(transactions(*range(950)))
    assert times_of(answers) == list(range(950))
    assert max(len(flush) for flush in keeper.flushes) == 100


async def test_a_flush_stays_below_its_bytes_unless_one_item_alone_is_larger() -> None:
    sizes: list[int] = []

    async def flush(items: Sequence[Transaction]) -> Answers:
        sizes.append(sum(len(item.payload) for item in items))
        return all_accepted([0] * len(items))

    async with started_flush_queue(flush) as flush_queue:
        big = [transaction("big", payload="x" * (FLUSH_MAX_BYTES + 10))]
        await flush_queue.submit([transaction(str(n), payload="x" * 100_000) for n in range(20)] + big)
    assert max(sizes[:-1]) <= FLUSH_MAX_BYTES
    assert sum(size > FLUSH_MAX_BYTES for size in sizes) == 1


@pytest.mark.parametrize(
    ("limits", "make"),
    [
        ({"items": 10}, lambda: transactions(*range(9))),
        ({"size": 1000}, lambda: [transaction("x", payload="y" * 1000)]),
    ],
)
async def test_past_the_queues_limit_a_request_is_refused_whole(
    limits: dict[str, int], make: Callable[[], list[Transaction]]
) -> None:
    keeper = Gatekeeper()
    async with started_flush_queue(keeper.flush, **limits) as flush_queue:
        waiting = await occupy(keeper, flush_queue)
        with pytest.raises(Overloaded):
            await flush_queue.submit(make())
        assert flush_queue.held_items == len(waiting)
        keeper.open.set()
        await asyncio.gather(*waiting)
        assert (flush_queue.held_items, flush_queue.held_bytes) == (0, 0)


async def test_a_caller_that_goes_away_disturbs_nobody() -> None:
    keeper = Gatekeeper()
    async with started_flush_queue(keeper.flush) as flush_queue:
        first = await occupy(keeper, flush_queue)
        gone, stays = (asyncio.create_task(flush_queue.submit(transactions(n))) for n in (7, 8))
        await asyncio.sleep(0)
        gone.cancel()
        first[0].cancel()
        await asyncio.sleep(0)
        keeper.open.set()
        assert times_of(await stays) == [8]
        assert times_of(await first[1]) == [1]
    assert ["7", "8"] in keeper.flushes, "what was queued is processed all the same"
    assert (flush_queue.held_items, flush_queue.held_bytes) == (0, 0)


async def test_a_failed_flush_fails_its_own_items_and_the_others_are_answered() -> None:
    async def flush(items: Sequence[Transaction]) -> Answers:
        if items[0].signature == "2":
            raise StoreTimeout("no answer")
        return all_accepted([int(item.signature) for item in items])

    async with started_flush_queue(flush, most=2) as flush_queue:
        parts = await flush_queue.submit(transactions(0, 1, 2, 3, 4))
        failed = {
            item.signature: isinstance(part.outcome, StoreTimeout) for part in parts for item in part.items
        }
        assert failed == {"0": False, "1": False, "2": True, "3": True, "4": False}
        assert len(await flush_queue.submit(transactions(6))) == 1
        assert (flush_queue.held_items, flush_queue.held_bytes) == (0, 0)


async def test_closing_flushes_what_is_queued_and_refuses_what_comes_after() -> None:
    keeper = Gatekeeper()
    flush_queue = FlushQueue(keeper.flush, 100, 1000, 10**9)
    flush_queue.start()
    tasks = await occupy(keeper, flush_queue)
    tasks.append(asyncio.create_task(flush_queue.submit(transactions(42))))
    await asyncio.sleep(0)
    closing = asyncio.create_task(flush_queue.close())
    await asyncio.sleep(0)
    with pytest.raises(ShuttingDown):
        await flush_queue.submit(transactions(43))
    keeper.open.set()
    await closing
    times = [time for outcomes in await asyncio.gather(*tasks) for time in times_of(outcomes)]
    assert times == [*range(CONCURRENT_FLUSHES), 42]


async def test_items_that_cannot_be_joined_fail_and_the_next_are_flushed() -> None:
    def on_done(outcome: Answers | Exception, _at: int) -> None:
        outcomes.append(type(outcome))

    outcomes: list[type] = []
    no_transaction: Any = SimpleNamespace(payload=b"1")
    keeper = Gatekeeper()
    keeper.open.set()
    async with started_flush_queue(keeper.flush) as flush_queue:
        for _ in range(CONCURRENT_FLUSHES):
            flush_queue.submit_one(no_transaction, on_done)
            async with asyncio.timeout(30):
                while flush_queue.held_items:
                    await asyncio.sleep(0)
        assert times_of(await flush_queue.submit(transactions(7))) == [7]
    assert outcomes == [AttributeError] * CONCURRENT_FLUSHES


async def test_a_flush_whose_task_is_cancelled_is_answered_and_the_other_task_goes_on() -> None:
    keeper = Gatekeeper()
    async with started_flush_queue(keeper.flush) as flush_queue:
        many = await flush_many(keeper, flush_queue)
        few = asyncio.create_task(flush_queue.submit(transactions(100)))  # waits for the end of many
        await asyncio.sleep(0)
        _flush_tasks()[0].cancel()
        parts = await asyncio.wait_for(asyncio.gather(*many), 30)
        assert {type(part.outcome) for [part] in parts} == {OutcomeUnknown}
        keeper.open.set()
        assert times_of(await asyncio.wait_for(few, 30)) == [100]
        assert (flush_queue.held_items, flush_queue.held_bytes) == (0, 0)


async def test_when_all_tasks_are_cancelled_what_is_queued_is_answered_and_nothing_more_is_taken() -> None:
    keeper = Gatekeeper()
    async with started_flush_queue(keeper.flush) as flush_queue:
        flushed = await occupy(keeper, flush_queue)
        queued = asyncio.create_task(flush_queue.submit(transactions(42)))
        await asyncio.sleep(0)
        for task in _flush_tasks():
            task.cancel()
        kinds = [
            type(part.outcome) for task in [*flushed, queued] for part in await asyncio.wait_for(task, 30)
        ]
        assert kinds == [OutcomeUnknown, OutcomeUnknown, ShuttingDown]
        with pytest.raises(ShuttingDown):
            await flush_queue.submit(transactions(43))
        assert (flush_queue.held_items, flush_queue.held_bytes) == (0, 0)
