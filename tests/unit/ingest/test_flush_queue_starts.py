"""When a flush starts: few do not wait beside few requests, and what is large waits for answers to be out."""

import asyncio
from collections.abc import Sequence

from app.api.middleware import to_its_end
from app.decode.columns import Answers
from app.ingest.flush_queue import CONCURRENT_FLUSHES, LARGE_FLUSH_BYTES, MANY_REQUESTS, SMALL_FLUSH
from app.models import Transaction
from tests.support.deliver import transaction
from tests.support.held_flushes import (
    Gatekeeper,
    flush_many,
    occupy,
    started_flush_queue,
    times_of,
    transactions,
)


async def test_requests_that_come_while_flushes_run_share_the_next_one() -> None:
    keeper = Gatekeeper()
    async with started_flush_queue(keeper.flush) as flush_queue:
        first = await occupy(keeper, flush_queue)
        later = [asyncio.create_task(flush_queue.submit(transactions(100 + n))) for n in range(50)]
        await asyncio.sleep(0)
        keeper.open.set()
        answers = await asyncio.gather(*later)
        await asyncio.gather(*first)
    assert [time for outcomes in answers for time in times_of(outcomes)] == list(range(100, 150))
    assert keeper.flushes[CONCURRENT_FLUSHES:] == [[str(100 + n) for n in range(50)]]


async def test_few_wait_beside_a_flush_of_many_requests_until_they_are_more_or_it_ends() -> None:
    keeper = Gatekeeper()
    async with started_flush_queue(keeper.flush) as flush_queue:
        many = await flush_many(keeper, flush_queue)
        few = [asyncio.create_task(flush_queue.submit(transactions(100 + n))) for n in range(SMALL_FLUSH - 1)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(keeper.flushes) == 1
        few.append(asyncio.create_task(flush_queue.submit(transactions(99 + SMALL_FLUSH))))
        await keeper.busy()
        last = asyncio.create_task(flush_queue.submit(transactions(999)))
        await asyncio.sleep(0)
        keeper.open.set()
        await asyncio.gather(*many, last, *few)
    assert [len(flush) for flush in keeper.flushes] == [MANY_REQUESTS, SMALL_FLUSH, 1]


async def test_one_starts_beside_a_flush_of_many_transactions_of_one_request() -> None:
    """As a part of a block is; the next part could be there before a post that waits."""
    keeper = Gatekeeper()
    async with started_flush_queue(keeper.flush) as flush_queue:
        part = asyncio.create_task(flush_queue.submit(transactions(*range(MANY_REQUESTS))))
        await keeper.busy(1)
        one = asyncio.create_task(flush_queue.submit(transactions(100)))
        await keeper.busy()
        keeper.open.set()
        await asyncio.gather(part, one)
    assert [len(flush) for flush in keeper.flushes] == [MANY_REQUESTS, 1]


async def test_a_batch_starts_beside_a_flush_of_many_requests() -> None:
    keeper = Gatekeeper()
    async with started_flush_queue(keeper.flush) as flush_queue:
        many = await flush_many(keeper, flush_queue)
        batch = asyncio.create_task(flush_queue.submit(transactions(*range(100, 100 + SMALL_FLUSH))))
        await keeper.busy()
        keeper.open.set()
        await asyncio.gather(*many, batch)
    assert [len(flush) for flush in keeper.flushes] == [MANY_REQUESTS, SMALL_FLUSH]


async def test_those_just_answered_respond_before_a_flush_of_much_keeps_the_event_loop() -> None:
    keeper, responses, responses_before = Gatekeeper(), list[str](), list[list[str]]()

    async def flush(items: Sequence[Transaction]) -> Answers:
        responses_before.append(list(responses))
        return await keeper.flush(items)

    async def respond(item: Transaction) -> None:
        await to_its_end(flush_queue.submit([item]))  # as a request of a feed does
        responses.append(item.signature)

    async with started_flush_queue(flush) as flush_queue:
        posts = [asyncio.create_task(respond(transactions(0)[0]))]
        await keeper.busy(1)
        posts.append(asyncio.create_task(respond(transactions(1)[0])))
        await keeper.busy(2)
        much = transaction("2", payload="x" * LARGE_FLUSH_BYTES)
        posts.append(asyncio.create_task(respond(much)))
        while flush_queue.held_items < len(posts):
            await asyncio.sleep(0)
        keeper.open.set()
        await asyncio.gather(*posts)
    assert responses_before == [[], [], ["0", "1"]]


async def test_one_starts_beside_a_flush_of_few() -> None:
    keeper = Gatekeeper()
    async with started_flush_queue(keeper.flush) as flush_queue:
        few = asyncio.create_task(flush_queue.submit(transactions(*range(MANY_REQUESTS - 1))))
        await keeper.busy(1)
        one = asyncio.create_task(flush_queue.submit(transactions(100)))
        await keeper.busy()
        keeper.open.set()
        await asyncio.gather(few, one)
    assert [len(flush) for flush in keeper.flushes] == [MANY_REQUESTS - 1, 1]


async def test_what_waits_beside_a_flush_of_many_is_flushed_before_the_queue_closes() -> None:
    keeper = Gatekeeper()
    async with started_flush_queue(keeper.flush) as flush_queue:
        many = await flush_many(keeper, flush_queue)
        few = asyncio.create_task(flush_queue.submit(transactions(100)))
        await asyncio.sleep(0)
        closing = asyncio.create_task(flush_queue.close())
        await asyncio.sleep(0)
        keeper.open.set()
        await asyncio.wait_for(closing, 30)
        assert times_of(await few) == [100]
        await asyncio.gather(*many)
