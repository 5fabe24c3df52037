"""The pieces of a body put together, wherever they were cut."""

import gzip
from mmap import mmap

import pytest
from starlette.types import Message

from app.decode.body import BodyBuffer, BodyReader, Pacer
from app.decode.budget import ByteBudget
from app.errors import Unauthorized
from app.models import MemoryHeadroom


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [10, 10_000, 100_000])
@pytest.mark.parametrize("cuts", [(1,), (2,), (1, 2), (3,), (0, 1)])
async def test_a_byte_order_mark_may_be_cut_anywhere(cuts: tuple[int, ...], size: int) -> None:
    text = b'"%b"' % (b"x" * size)
    sent, gathered = b"\xef\xbb\xbf" + text, BodyBuffer()
    for start, end in zip((0, *cuts), (*cuts, len(sent)), strict=True):
        gathered.add(sent[start:end])
    assert bytes(await gathered.whole(Pacer())) == text


END: Message = {"type": "http.request", "body": b"", "more_body": False}
BODY = b'\xef\xbb\xbf [{"signature":"a"}]\n'


def a_budget() -> ByteBudget:
    return ByteBudget(4_000_000, MemoryHeadroom())


def reader(sent: bytes, coding: bytes, budget: ByteBudget) -> BodyReader:
    """A body that comes in pieces of three bytes."""
    most = budget.most
    pieces = [sent[at : at + 3] for at in range(0, len(sent), 3)]
    messages = iter([*({"type": "http.request", "body": piece, "more_body": True} for piece in pieces), END])

    async def receive() -> Message:
        return next(messages)

    return BodyReader({b"content-encoding": coding}, receive, budget, most, most)


@pytest.mark.asyncio
@pytest.mark.parametrize("over_inflated", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("body", [BODY, BODY.strip(b"\xef\xbb\xbf \n"), b"[" + b"1," * 400_000 + b"1]", b""])
async def test_what_is_verified_is_every_byte_that_was_signed(
    body: bytes, zipped: bool, over_inflated: bool
) -> None:
    sent, seen = gzip.compress(body) if zipped else body, list[bytes]()

    async def verify(exact: bytes | mmap) -> None:
        seen.append(bytes(exact))

    async with reader(sent, b"gzip" if zipped else b"", a_budget()) as body_reader:
        document = await body_reader.verified(verify, over_inflated=over_inflated)
    assert seen == [body if over_inflated else sent]
    assert bytes(document) == body.removeprefix(b"\xef\xbb\xbf").strip()


@pytest.mark.asyncio
async def test_what_is_not_verified_is_not_inflated_and_gives_its_room_back() -> None:
    async def refuse(_: bytes | mmap) -> None:
        raise Unauthorized("no")

    budget = a_budget()
    body = reader(b"this is no gzip", b"gzip", budget)
    with pytest.raises(Unauthorized):
        async with body:
            await body.verified(refuse, over_inflated=False)
    assert budget.held == 0
