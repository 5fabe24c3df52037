"""Readers at the same place get the same piece, put together once; others have their own."""

import asyncio

import pytest

from app.consumers.block_cache import Ledger, Page
from app.consumers.shared_pieces import MOST_PIECES, Piece, Pieces, Request
from app.consumers.stream_formats import Form, Lines, Look, Place
from app.store.positions import Positions
from tests.support.way_out import LINES, PIECE_BYTES, Out, names, take

COUNT = 12
NAMES = [f"one-{number}-0" for number in range(COUNT)]


async def _posted(out: Out) -> None:
    for number in range(COUNT):
        await out.post(f"one-{number}", 1)


async def test_what_one_reader_has_put_together_the_others_get(
    out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, asked = out.cache.lines, list[int]()

    def noted(page: Page, look: Look, place: Place | None) -> Lines:
        asked.append(page.begin)
        return lines(page, look, place)

    monkeypatch.setattr(out.cache, "lines", noted)
    await _posted(out)
    readers = [await out.reader("oldest") for _ in range(5)]
    found = [names(await take(reader, COUNT)) for reader in readers]
    assert found == [NAMES] * 5
    assert asked == list(range(COUNT)), "each block was asked for once"
    await out.post("next", 1)
    assert [names(await take(reader, 1)) for reader in readers] == [["next-0"]] * 5


async def test_a_reader_that_wants_something_else_gets_its_own(out: Out) -> None:
    await _posted(out)
    whole = await out.reader("oldest")
    others = {
        "sources": await out.reader("oldest", sources=frozenset({"nobody"})),
        "payload": await out.reader("oldest", look=Look(Form.LINES, has_payload=False)),
        "limit": await out.reader("oldest", limit=3),
    }
    assert names(await take(whole, COUNT)) == NAMES
    assert names(await take(others["limit"], 3)) == NAMES[:3]
    assert await others["limit"].next_piece(PIECE_BYTES) is None
    assert ["payload" in line for line in await take(others["payload"], COUNT)] == [False] * COUNT
    waiting = asyncio.create_task(others["sources"].next_piece(PIECE_BYTES))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.parametrize("sources", [None, frozenset({"a"})])
async def test_a_reader_that_ends_within_a_block_leads_no_other_past_its_rest(
    out: Out, sources: frozenset[str] | None
) -> None:
    await out.post("many", 10)
    wanted = [f"many-{number}" for number in range(10)]
    first = await out.reader("oldest", limit=3, sources=sources)
    others = [
        await out.reader("oldest", sources=sources),
        await out.reader("oldest", limit=10, sources=sources),
    ]
    assert names(await take(first, 3)) == wanted[:3]
    assert [names(await take(reader, 10)) for reader in others] == [wanted] * 2


async def test_a_piece_from_before_a_setback_is_given_to_nobody(out: Out) -> None:
    await _posted(out)
    start = await out.accepted.find("oldest")
    from_before = Request(out.cache.epoch, start, LINES, None, PIECE_BYTES)
    out.readers.pieces.put(from_before, Piece(b"{}\n" * COUNT, await out.accepted.find("now"), COUNT))
    reader = await out.reader("oldest")
    out.cache.set_back(Ledger(0, len(start.born_ms), start.born_ms[0]))
    assert names(await take(reader, COUNT)) == NAMES


def test_the_number_of_pieces_is_bounded() -> None:
    pieces = Pieces()
    requests = [
        Request(0, Positions((1,), (number,), (0,)), LINES, None, 100) for number in range(MOST_PIECES + 3)
    ]
    for request in requests:
        pieces.put(request, Piece(b"x\n", request.place, 1))
    kept = [request for request in requests if pieces.find(request)]
    assert kept == requests[3:]
