"""Many requests become few flushes; each gets its own answers, whatever happens to the others."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from app.api.middleware import to_its_end
from app.decode.columns import Answers
from app.errors import OutcomeUnknown, Overloaded, ShuttingDown, StoreTimeout
from app.ingest.coalescer import (
    CONCURRENT_FLUSHES,
    FLUSH_MAX_BYTES,
    LARGE_FLUSH_BYTES,
    SMALL_FLUSH,
    Chunk,
    Coalescer,
    Flush,
    joined_answers,
)
from app.models import ACCEPTED, Transaction
from tests.support.deliver import transaction


def _accepted(clocks: list[int]) -> Answers:
    return Answers(clocks, [ACCEPTED] * len(clocks))


class Gatekeeper:
    """A flush that waits until it is let go, and remembers what it was given."""

    def __init__(self) -> None:
        self.flushes: list[list[str]] = []
        self.open = asyncio.Event()
        self.failure: Exception | None = None

    async def flush(self, items: Sequence[Transaction]) -> Answers:
        self.flushes.append([item.signature for item in items])
        await self.open.wait()
        if self.failure:
            raise self.failure
        return _accepted([int(item.signature) for item in items])

    async def busy(self, workers: int = CONCURRENT_FLUSHES) -> None:
        """Wait until so many workers are in a flush, or have been."""
        async with asyncio.timeout(30):
            while len(self.flushes) < workers:
                await asyncio.sleep(0)


@asynccontextmanager
async def _coalescer(
    flush: Flush, items: int = 1000, size: int = 10**9, most: int = 100
) -> AsyncIterator[Coalescer]:
    coalescer = Coalescer(flush, most, items, size)
    coalescer.start()
    yield coalescer
    await coalescer.close()


def _items(*numbers: int) -> list[Transaction]:
    return [transaction(str(number)) for number in numbers]


def _flush_tasks() -> list[asyncio.Task[object]]:
    return sorted(
        (task for task in asyncio.all_tasks() if task.get_name().startswith("flush-")),
        key=asyncio.Task.get_name,
    )


async def _occupy(keeper: Gatekeeper, coalescer: Coalescer) -> list[asyncio.Task[list[Chunk]]]:
    """Keep every worker in a flush of one item."""
    tasks = []
    for number in range(CONCURRENT_FLUSHES):
        tasks.append(asyncio.create_task(coalescer.submit(_items(number))))
        await keeper.busy(number + 1)
    return tasks


async def _flush_many(keeper: Gatekeeper, coalescer: Coalescer) -> list[asyncio.Task[list[Chunk]]]:
    """Keep one worker in a flush of as many requests as no small flush starts beside."""
    tasks = [asyncio.create_task(coalescer.submit(_items(number))) for number in range(SMALL_FLUSH)]
    await keeper.busy(1)
    return tasks


def _times(parts: list[Chunk]) -> list[int | None]:
    return [answer.first_seen_ms for answer in joined_answers(parts)]


async def test_requests_that_come_while_flushes_run_share_the_next_one() -> None:
    keeper = Gatekeeper()
    async with _coalescer(keeper.flush) as coalescer:
        first = await _occupy(keeper, coalescer)
        later = [asyncio.create_task(coalescer.submit(_items(100 + n))) for n in range(50)]
        await asyncio.sleep(0)
        keeper.open.set()
        answers = await asyncio.gather(*later)
        await asyncio.gather(*first)
    assert [time for outcomes in answers for time in _times(outcomes)] == list(range(100, 150))
    assert keeper.flushes[CONCURRENT_FLUSHES:] == [[str(100 + n) for n in range(50)]]


async def test_few_wait_beside_a_flush_of_many_requests_until_they_are_more_or_it_ends() -> None:
    keeper = Gatekeeper()
    async with _coalescer(keeper.flush) as coalescer:
        many = await _flush_many(keeper, coalescer)
        few = [asyncio.create_task(coalescer.submit(_items(100 + n))) for n in range(SMALL_FLUSH - 1)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(keeper.flushes) == 1
        few.append(asyncio.create_task(coalescer.submit(_items(99 + SMALL_FLUSH))))
        await keeper.busy()
        last = asyncio.create_task(coalescer.submit(_items(999)))
        await asyncio.sleep(0)
        keeper.open.set()
        await asyncio.gather(*many, last, *few)
    assert [len(flush) for flush in keeper.flushes] == [SMALL_FLUSH, SMALL_FLUSH, 1]


async def test_one_starts_beside_a_flush_of_many_transactions_of_one_request() -> None:
    """As a part of a block is; the next part could be there before a post that waits."""
    keeper = Gatekeeper()
    async with _coalescer(keeper.flush) as coalescer:
        part = asyncio.create_task(coalescer.submit(_items(*range(SMALL_FLUSH))))
        await keeper.busy(1)
        one = asyncio.create_task(coalescer.submit(_items(100)))
        await keeper.busy()
        keeper.open.set()
        await asyncio.gather(part, one)
    assert [len(flush) for flush in keeper.flushes] == [SMALL_FLUSH, 1]


async def test_a_batch_starts_beside_a_flush_of_many_requests() -> None:
    keeper = Gatekeeper()
    async with _coalescer(keeper.flush) as coalescer:
        many = await _flush_many(keeper, coalescer)
        batch = asyncio.create_task(coalescer.submit(_items(*range(100, 100 + SMALL_FLUSH))))
        await keeper.busy()
        keeper.open.set()
        await asyncio.gather(*many, batch)
    assert [len(flush) for flush in keeper.flushes] == [SMALL_FLUSH, SMALL_FLUSH]


async def test_those_just_answered_respond_before_a_flush_of_much_keeps_the_event_loop() -> None:
    keeper, responses, responses_before = Gatekeeper(), list[str](), list[list[str]]()

    async def flush(items: Sequence[Transaction]) -> Answers:
        responses_before.append(list(responses))
        return await keeper.flush(items)

    async def respond(item: Transaction) -> None:
        await to_its_end(coalescer.submit([item]))  # as a request of a feed does
        responses.append(item.signature)

    async with _coalescer(flush) as coalescer:
        posts = [asyncio.create_task(respond(_items(0)[0]))]
        await keeper.busy(1)
        posts.append(asyncio.create_task(respond(_items(1)[0])))
        await keeper.busy(2)
        much = transaction("2", payload="x" * LARGE_FLUSH_BYTES)
        posts.append(asyncio.create_task(respond(much)))
        while coalescer.held_items < len(posts):
            await asyncio.sleep(0)
        keeper.open.set()
        await asyncio.gather(*posts)
    assert responses_before == [[], [], ["0", "1"]]


async def test_one_starts_beside_a_flush_of_few() -> None:
    keeper = Gatekeeper()
    async with _coalescer(keeper.flush) as coalescer:
        few = asyncio.create_task(coalescer.submit(_items(*range(SMALL_FLUSH - 1))))
        await keeper.busy(1)
        one = asyncio.create_task(coalescer.submit(_items(100)))
        await keeper.busy()
        keeper.open.set()
        await asyncio.gather(few, one)
    assert [len(flush) for flush in keeper.flushes] == [SMALL_FLUSH - 1, 1]


async def test_what_waits_beside_a_flush_of_many_is_flushed_before_the_coalescer_closes() -> None:
    keeper = Gatekeeper()
    async with _coalescer(keeper.flush) as coalescer:
        many = await _flush_many(keeper, coalescer)
        few = asyncio.create_task(coalescer.submit(_items(100)))
        await asyncio.sleep(0)
        closing = asyncio.create_task(coalescer.close())
        await asyncio.sleep(0)
        keeper.open.set()
        await asyncio.wait_for(closing, 30)
        assert _times(await few) == [100]
        await asyncio.gather(*many)


async def test_a_large_request_is_cut_and_its_answers_come_in_order() -> None:
    keeper = Gatekeeper()
    keeper.open.set()
    async with _coalescer(keeper.flush, most=100) as coalescer:
        answers = await coalescer.submit(_items(*range(950)))
    assert _times(answers) == list(range(950))
    assert max(len(flush) for flush in keeper.flushes) == 100


async def test_a_flush_stays_below_its_bytes_unless_one_item_alone_is_larger() -> None:
    sizes: list[int] = []

    async def flush(items: Sequence[Transaction]) -> Answers:
        sizes.append(sum(len(item.payload) for item in items))
        return _accepted([0] * len(items))

    async with _coalescer(flush) as coalescer:
        big = [transaction("big", payload="x" * (FLUSH_MAX_BYTES + 10))]
        await coalescer.submit([transaction(str(n), payload="x" * 100_000) for n in range(20)] + big)
    assert max(sizes[:-1]) <= FLUSH_MAX_BYTES
    assert sum(size > FLUSH_MAX_BYTES for size in sizes) == 1


@pytest.mark.parametrize(
    ("limits", "make"),
    [
        ({"items": 10}, lambda: _items(*range(9))),
        ({"size": 1000}, lambda: [transaction("x", payload="y" * 1000)]),
    ],
)
async def test_past_the_queues_limit_a_request_is_refused_whole(
    limits: dict[str, int], make: Callable[[], list[Transaction]]
) -> None:
    keeper = Gatekeeper()
    async with _coalescer(keeper.flush, **limits) as coalescer:
        waiting = await _occupy(keeper, coalescer)
        with pytest.raises(Overloaded):
            await coalescer.submit(make())
        assert coalescer.held_items == len(waiting)
        keeper.open.set()
        await asyncio.gather(*waiting)
        assert (coalescer.held_items, coalescer.held_bytes) == (0, 0)


async def test_a_caller_that_goes_away_disturbs_nobody() -> None:
    keeper = Gatekeeper()
    async with _coalescer(keeper.flush) as coalescer:
        first = await _occupy(keeper, coalescer)
        gone, stays = (asyncio.create_task(coalescer.submit(_items(n))) for n in (7, 8))
        await asyncio.sleep(0)
        gone.cancel()
        first[0].cancel()
        await asyncio.sleep(0)
        keeper.open.set()
        assert _times(await stays) == [8]
        assert _times(await first[1]) == [1]
    assert ["7", "8"] in keeper.flushes, "what was queued is processed all the same"
    assert (coalescer.held_items, coalescer.held_bytes) == (0, 0)


async def test_a_failed_flush_fails_its_own_items_and_the_others_are_answered() -> None:
    async def flush(items: Sequence[Transaction]) -> Answers:
        if items[0].signature == "2":
            raise StoreTimeout("no answer")
        return _accepted([int(item.signature) for item in items])

    async with _coalescer(flush, most=2) as coalescer:
        parts = await coalescer.submit(_items(0, 1, 2, 3, 4))
        failed = {
            item.signature: isinstance(part.outcome, StoreTimeout) for part in parts for item in part.items
        }
        assert failed == {"0": False, "1": False, "2": True, "3": True, "4": False}
        assert len(await coalescer.submit(_items(6))) == 1
        assert (coalescer.held_items, coalescer.held_bytes) == (0, 0)


async def test_closing_flushes_what_is_queued_and_refuses_what_comes_after() -> None:
    keeper = Gatekeeper()
    coalescer = Coalescer(keeper.flush, 100, 1000, 10**9)
    coalescer.start()
    tasks = await _occupy(keeper, coalescer)
    tasks.append(asyncio.create_task(coalescer.submit(_items(42))))
    await asyncio.sleep(0)
    closing = asyncio.create_task(coalescer.close())
    await asyncio.sleep(0)
    with pytest.raises(ShuttingDown):
        await coalescer.submit(_items(43))
    keeper.open.set()
    await closing
    times = [time for outcomes in await asyncio.gather(*tasks) for time in _times(outcomes)]
    assert times == [*range(CONCURRENT_FLUSHES), 42]


async def test_items_that_cannot_be_joined_fail_and_the_next_are_flushed() -> None:
    def on_done(outcome: Answers | Exception, _at: int) -> None:
        outcomes.append(type(outcome))

    outcomes: list[type] = []
    no_transaction: Any = SimpleNamespace(payload=b"1")
    keeper = Gatekeeper()
    keeper.open.set()
    async with _coalescer(keeper.flush) as coalescer:
        for _ in range(CONCURRENT_FLUSHES):
            coalescer.submit_one(no_transaction, on_done)
            async with asyncio.timeout(30):
                while coalescer.held_items:
                    await asyncio.sleep(0)
        assert _times(await coalescer.submit(_items(7))) == [7]
    assert outcomes == [AttributeError] * CONCURRENT_FLUSHES


async def test_a_flush_whose_task_is_cancelled_is_answered_and_the_other_task_goes_on() -> None:
    keeper = Gatekeeper()
    async with _coalescer(keeper.flush) as coalescer:
        many = await _flush_many(keeper, coalescer)
        few = asyncio.create_task(coalescer.submit(_items(100)))  # waits for the end of many
        await asyncio.sleep(0)
        _flush_tasks()[0].cancel()
        parts = await asyncio.wait_for(asyncio.gather(*many), 30)
        assert {type(part.outcome) for [part] in parts} == {OutcomeUnknown}
        keeper.open.set()
        assert _times(await asyncio.wait_for(few, 30)) == [100]
        assert (coalescer.held_items, coalescer.held_bytes) == (0, 0)


async def test_when_all_tasks_are_cancelled_what_is_queued_is_answered_and_nothing_more_is_taken() -> None:
    keeper = Gatekeeper()
    async with _coalescer(keeper.flush) as coalescer:
        flushed = await _occupy(keeper, coalescer)
        queued = asyncio.create_task(coalescer.submit(_items(42)))
        await asyncio.sleep(0)
        for task in _flush_tasks():
            task.cancel()
        kinds = [
            type(part.outcome) for task in [*flushed, queued] for part in await asyncio.wait_for(task, 30)
        ]
        assert kinds == [OutcomeUnknown, OutcomeUnknown, ShuttingDown]
        with pytest.raises(ShuttingDown):
            await coalescer.submit(_items(43))
        assert (coalescer.held_items, coalescer.held_bytes) == (0, 0)
