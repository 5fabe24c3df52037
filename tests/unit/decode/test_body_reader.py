"""The pieces of a body put together, wherever they were cut."""

import asyncio
import gzip
import sys
from collections.abc import Sequence
from mmap import mmap
from random import randbytes

import pytest
from starlette.types import Message

from app.decode.body_budget import Arriving, ByteBudget, most_unverified
from app.decode.body_buffer import BodyBuffer
from app.decode.body_reader import BodyReader
from app.decode.event_loop_turns import ITEM_COST, ONE_BY_ONE_BYTES, PACE_BYTES, Pacer
from app.decode.gzip import DEFLATED_COST, DEFLATED_STEP, PIECE_BYTES
from app.errors import BodyTooLarge, MalformedBody, Overloaded, Unauthorized
from app.models import MemoryHeadroom
from app.process.heap import heap_reader
from tests.support.hostile import empty_blocks
from tests.support.turns import count_turns


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [10, 10_000, 100_000])
@pytest.mark.parametrize("cuts", [(1,), (2,), (1, 2), (3,), (0, 1)])
async def test_a_byte_order_mark_may_be_cut_anywhere(cuts: tuple[int, ...], size: int) -> None:
    text = b'"%b"' % (b"x" * size)
    sent, gathered = b"\xef\xbb\xbf" + text, BodyBuffer()
    for start, end in zip((0, *cuts), (*cuts, len(sent)), strict=True):
        gathered.add(sent[start:end])
    assert bytes(await gathered.whole(Pacer())) == text


def test_a_long_body_is_not_held_in_the_heap() -> None:
    """What is freed there stays resident as long as anything small lies on top of it."""
    read, gathered = heap_reader(), BodyBuffer()
    assert read is not None
    before = sum(read())
    for _ in range(512):
        gathered.add(randbytes(PIECE_BYTES))
    assert sum(read()) - before < 2 * 1024 * 1024
    assert sum(map(len, gathered.pieces)) == 512 * PIECE_BYTES


@pytest.mark.asyncio
@pytest.mark.parametrize("spaces", [0, 1, 100_000, 1_000_000])
async def test_a_long_body_loses_the_white_space_around_it_alone(spaces: int) -> None:
    text, gathered = b"[" + b"1, " * 500_000 + b"1]", BodyBuffer()
    sent = b"\xef\xbb\xbf" + b" " * spaces + text + b"\n" * spaces
    for at in range(0, len(sent), 50_000):
        gathered.add(sent[at : at + 50_000])
    assert bytes(await gathered.whole(Pacer())) == text


END: Message = {"type": "http.request", "body": b"", "more_body": False}
BODY = b'\xef\xbb\xbf [{"signature":"a"}]\n'
BUDGET_BYTES = 4_000_000
UNVERIFIED_BYTES = most_unverified(BUDGET_BYTES, BUDGET_BYTES)


def a_budget() -> ByteBudget:
    return ByteBudget(BUDGET_BYTES, MemoryHeadroom(), 10)


def reader(sent: bytes, coding: bytes, budget: ByteBudget, size: int = 3) -> BodyReader:
    """A body that comes in pieces of three bytes."""
    most = budget.most
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    messages = iter([*({"type": "http.request", "body": piece, "more_body": True} for piece in pieces), END])

    async def receive() -> Message:
        return next(messages)

    return BodyReader({b"content-encoding": coding}, receive, Arriving(budget, "feed"), most, most)


@pytest.mark.asyncio
@pytest.mark.parametrize("over_inflated", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("body", [BODY, BODY.strip(b"\xef\xbb\xbf \n"), b"[" + b"1," * 100_000 + b"1]", b""])
async def test_what_is_verified_is_every_byte_that_was_signed(
    body: bytes, zipped: bool, over_inflated: bool
) -> None:
    sent, seen = gzip.compress(body) if zipped else body, list[bytes]()

    async def verify(exact: Sequence[bytes | mmap]) -> None:
        seen.append(b"".join(exact))

    async with reader(sent, b"gzip" if zipped else b"", a_budget()) as body_reader:
        document = await body_reader.verified(verify, over_inflated=over_inflated)
    assert seen == [body if over_inflated else sent]
    assert bytes(document) == body.removeprefix(b"\xef\xbb\xbf").strip()


@pytest.mark.asyncio
async def test_what_is_not_verified_is_not_inflated_and_gives_its_room_back() -> None:
    async def refuse(_: Sequence[bytes | mmap]) -> None:
        raise Unauthorized("no")

    budget = a_budget()
    body = reader(b"this is no gzip", b"gzip", budget)
    with pytest.raises(Unauthorized):
        async with body:
            await body.verified(refuse, over_inflated=False)
    assert budget.held == 0


async def let_pass(_: Sequence[bytes | mmap]) -> None:
    """Verify, with any secret."""


@pytest.mark.asyncio
@pytest.mark.parametrize("margin", [b"", b"\n"])
@pytest.mark.parametrize("over_inflated", [False, True])
async def test_a_verified_body_may_fill_the_room_of_those_that_are_not_whatever_stands_around_it(
    margin: bytes, over_inflated: bool
) -> None:
    budget = a_budget()
    text = (b"1" * UNVERIFIED_BYTES)[len(margin) :]
    budget.take(budget.most - UNVERIFIED_BYTES)
    body = reader(text + margin, b"", budget, 100_000)
    async with body:
        document = await body.verified(let_pass, over_inflated=over_inflated)
        assert len(document) == len(text)
        assert (budget.held, budget.unverified.held) == (budget.most, 0)
    assert budget.held == budget.most - UNVERIFIED_BYTES


@pytest.mark.asyncio
async def test_before_it_is_verified_a_body_has_a_part_of_the_budget_only() -> None:
    budget = a_budget()
    budget.unverified.take(UNVERIFIED_BYTES)
    body = reader(BODY, b"", budget)
    with pytest.raises(Overloaded, match="not verified"):
        async with body:
            await body.verified(let_pass, over_inflated=False)
    async with reader(BODY, b"", budget) as other:
        assert await other.whole() == BODY.strip(b"\xef\xbb\xbf \n")
    assert budget.held == budget.unverified.held == UNVERIFIED_BYTES


@pytest.mark.asyncio
@pytest.mark.parametrize("declared", [True, False])
async def test_what_could_never_be_verified_is_too_large_and_not_refused_for_now(declared: bool) -> None:
    budget = a_budget()
    text = b"1" * (UNVERIFIED_BYTES + 1)
    length = {b"content-length": b"%d" % len(text)} if declared else {}
    messages = iter([{"type": "http.request", "body": text, "more_body": False}])

    async def receive() -> Message:
        return next(messages)

    async with BodyReader(length, receive, Arriving(budget, "feed"), budget.most, budget.most) as body:
        with pytest.raises(BodyTooLarge):
            await body.verified(let_pass, over_inflated=False)
    assert budget.held == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("over_inflated", [False, True])
async def test_gzip_that_never_fits_in_the_budget_is_too_large(over_inflated: bool) -> None:
    """1.5 MB that cannot be compressed, and zeros: together with what was sent more than 4 MB."""
    budget = a_budget()
    body = reader(gzip.compress(randbytes(1_500_000) + b"0" * 1_100_000), b"gzip", budget, 100_000)
    async with body:
        with pytest.raises(BodyTooLarge, match="inflates to more"):
            await body.verified(let_pass, over_inflated=over_inflated)
    assert (budget.held, budget.unverified.held) == (0, 0)


@pytest.mark.asyncio
@pytest.mark.parametrize("as_lines", [False, True])
async def test_bodies_of_one_sender_that_come_in_slowly_leave_room_to_others(as_lines: bool) -> None:
    budget, may_end = a_budget(), asyncio.Event()

    async def slow() -> None:
        pieces = iter([b"x" * 500_000] * 3)

        async def receive() -> Message:
            piece = next(pieces, b"")
            if not piece:
                await may_end.wait()
            return {"type": "http.request", "body": piece, "more_body": bool(piece)}

        body = BodyReader({}, receive, Arriving(budget, "slow"), budget.most, budget.most)
        async with body:
            if as_lines:
                assert [line async for lines in body.lines(budget.most) for line in lines] == [
                    b"x" * 1_500_000
                ]
            else:
                assert len(await body.whole()) == 1_500_000

    sending = [asyncio.create_task(slow()) for _ in range(4)]
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert 0 < budget.held <= budget.most // 2
    async with reader(b"1" * 1_500_000, b"", budget, 100_000) as body:
        assert len(await body.whole()) == 1_500_000
    may_end.set()
    ended = await asyncio.gather(*sending, return_exceptions=True)
    refused = [str(error) for error in ended if isinstance(error, Overloaded)]
    assert refused
    assert all("come in from slow already hold" in error for error in refused)
    assert [error for error in ended if error is not None and not isinstance(error, Overloaded)] == []
    assert (budget.held, budget.senders) == (0, {})


@pytest.mark.asyncio
async def test_what_was_sent_is_given_back_once_it_is_inflated() -> None:
    budget, text = a_budget(), b"0" * 3_000_000
    async with reader(gzip.compress(text), b"gzip", budget) as body:
        assert len(await body.verified(let_pass, over_inflated=False)) == budget.held == len(text)


@pytest.mark.asyncio
@pytest.mark.parametrize("as_lines", [False, True])
async def test_others_are_served_while_gzip_is_inflated_of_which_nothing_comes(as_lines: bool) -> None:
    sent, done = empty_blocks(1_000_000), asyncio.Event()
    turns = asyncio.create_task(count_turns(done))
    async with reader(sent, b"gzip", a_budget(), len(sent)) as body:
        with pytest.raises(MalformedBody, match="cut off"):
            await anext(body.lines(100)) if as_lines else await body.whole()
    done.set()
    assert await turns >= DEFLATED_COST * len(sent) // (PACE_BYTES + DEFLATED_COST * DEFLATED_STEP)


@pytest.mark.asyncio
async def test_long_lines_of_a_body_that_is_inflated_are_handed_on_a_few_at_a_time() -> None:
    line = b"x" * 250_000
    sent, handed = gzip.compress(b"\n".join([line] * 12)), list[int]()
    async with reader(sent, b"gzip", a_budget(), len(sent)) as body:
        async for lines in body.lines(len(line)):
            handed += [sum(len(each) for each in lines if isinstance(each, bytes))]
    assert sum(handed) == 12 * len(line)
    assert max(handed) < ONE_BY_ONE_BYTES + len(line)


@pytest.mark.asyncio
async def test_lines_that_are_handed_on_together_are_decoded_in_one_turn() -> None:
    sent, costs = b"".join(b"x" * (number % 300) + b"\n" for number in range(2_000)), list[int]()
    async with reader(sent, b"", a_budget(), PIECE_BYTES) as body:
        async for lines in body.lines(1_000):
            costs += [sum(ITEM_COST + len(each) for each in lines if isinstance(each, bytes))]
    assert sum(costs) > 1_900 * ITEM_COST
    assert max(costs) <= ONE_BY_ONE_BYTES


@pytest.mark.asyncio
async def test_of_many_bodies_that_wait_for_the_store_few_lines_are_cut() -> None:
    """Each has sent 60,000 bytes, which are 20,000 lines: cut, they take twenty times as much."""
    bodies, may_end, budget = 20, asyncio.Event(), a_budget()
    before = sys.getallocatedblocks()

    async def post() -> None:
        async with reader(b"12\n" * 20_000, b"", budget, PIECE_BYTES) as body:
            async for _ in body.lines(100):
                await may_end.wait()

    async with asyncio.TaskGroup() as posts:
        for _ in range(bodies):
            posts.create_task(post())
        for _ in range(10 * bodies):
            await asyncio.sleep(0)
        assert sys.getallocatedblocks() - before < bodies * 2_000
        may_end.set()


@pytest.mark.asyncio
@pytest.mark.parametrize("as_lines", [False, True])
async def test_nothing_of_what_is_done_with_is_held_while_more_is_waited_for(as_lines: bool) -> None:
    """A thousand slow clients would hold 60 MB of which no budget knows."""
    budget, counts, chunk = a_budget(), list[int](), b"12\n" * 1_000

    async def receive() -> Message:
        counts.append(sys.getrefcount(chunk))
        return {"type": "http.request", "body": chunk, "more_body": True} if len(counts) < 3 else END

    async with BodyReader({}, receive, Arriving(budget, "feed"), budget.most, budget.most) as body:
        if as_lines:
            assert sum([len(lines) async for lines in body.lines(100)]) == 2_000
        else:
            await body.whole()
    assert counts[1:] == counts[:1] * 2
