"""The pieces of a body put together, wherever they were cut."""

import pytest

from app.decode.body import BodyBuffer, Pacer


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [10, 10_000, 100_000])
@pytest.mark.parametrize("cuts", [(1,), (2,), (1, 2), (3,), (0, 1)])
async def test_a_byte_order_mark_may_be_cut_anywhere(cuts: tuple[int, ...], size: int) -> None:
    text = b'"%b"' % (b"x" * size)
    sent, gathered = b"\xef\xbb\xbf" + text, BodyBuffer()
    for start, end in zip((0, *cuts), (*cuts, len(sent)), strict=True):
        gathered.add(sent[start:end])
    assert bytes(await gathered.whole(Pacer())) == text
