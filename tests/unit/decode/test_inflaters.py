"""What inflates a body counts like its bytes, so that slow bodies with gzip leave room to others."""

import asyncio
import gzip
from contextlib import suppress

import pytest
from starlette.types import Message

from app.decode.body_budget import INFLATER_BYTES, Arriving
from app.decode.body_reader import BodyReader
from app.errors import MalformedBody, Overloaded
from tests.unit.decode.test_body_reader import a_budget, let_pass, reader

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(
    "way", ["whole", "lines", "verified over what was sent", "verified over what comes out"]
)
@pytest.mark.parametrize("ends", ["whole", "cut off"])
async def test_what_inflates_a_body_counts_from_its_first_byte_to_its_last(way: str, ends: str) -> None:
    budget, zipped = a_budget(), gzip.compress(b"1")
    sent, held = [b"", *(zipped[at : at + 1] for at in range(len(zipped) - (ends == "cut off")))], list[int]()
    pieces = iter(sent)

    async def receive() -> Message:
        held.append(budget.held)
        piece = next(pieces, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    arriving = Arriving(budget, "feed")
    async with BodyReader(
        {b"content-encoding": b"gzip"}, receive, arriving, budget.most, budget.most
    ) as body:
        with suppress(MalformedBody):
            if way == "lines":
                assert [lines async for lines in body.lines(100)] == [[b"1"]]
            elif way == "whole":
                assert await body.whole() == b"1"
            else:
                assert await body.verified(let_pass, over_inflated=way.endswith("comes out")) == b"1"
        assert budget.held == 1 if ends == "whole" else budget.held >= INFLATER_BYTES
    assert held[:2] == [0, 0]
    assert all(is_inflating(now) is not way.endswith("sent") for now in held[2:])
    assert (budget.held, budget.unverified.held) == (0, 0)


def is_inflating(held: int) -> bool:
    return INFLATER_BYTES <= held <= INFLATER_BYTES + 1


async def test_inflaters_of_one_sender_leave_room_to_others() -> None:
    budget, may_end, started = a_budget(), asyncio.Event(), gzip.compress(b"1")[:12]

    async def slow() -> None:
        pieces = iter([started])

        async def receive() -> Message:
            piece = next(pieces, b"")
            if not piece:
                await may_end.wait()
            return {"type": "http.request", "body": piece, "more_body": bool(piece)}

        arriving = Arriving(budget, "slow")
        headers = {b"content-encoding": b"gzip"}
        async with BodyReader(headers, receive, arriving, budget.most, budget.most) as body:
            await body.whole()

    sending = [asyncio.create_task(slow()) for _ in range(200)]
    for _ in range(100):
        await asyncio.sleep(0)
    assert 0 < budget.held <= budget.most // 2
    async with reader(gzip.compress(b"1"), b"gzip", budget) as body:
        assert await body.whole() == b"1"
    may_end.set()
    ended = await asyncio.gather(*sending, return_exceptions=True)
    cut_off = sum(isinstance(error, MalformedBody) for error in ended)
    assert (cut_off, sum(isinstance(error, Overloaded) for error in ended)) == (
        budget.most // 2 // INFLATER_BYTES,
        200 - cut_off,
    )
    assert (budget.held, budget.senders) == (0, {})
