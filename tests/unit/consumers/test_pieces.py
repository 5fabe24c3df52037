"""Readers at the same place get the same piece, put together once; others have their own."""

import asyncio

import pytest

from app.consumers.lines import Form, Lines, Look, Place
from app.consumers.pieces import MOST_PIECES, Piece, Pieces, Request
from app.consumers.shelf import Ledger, Page
from app.store.accepted import Positions
from tests.support.way_out import LINES, PIECE_BYTES, Out, names, take

COUNT = 12
NAMES = [f"one-{number}-0" for number in range(COUNT)]


async def _posted(out: Out) -> None:
    for number in range(COUNT):
        await out.post(f"one-{number}", 1)


async def test_what_one_reader_has_put_together_the_others_get(
    out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, asked = out.shelf.lines, list[int]()

    def noted(page: Page, look: Look, place: Place | None) -> Lines:
        asked.append(page.begin)
        return lines(page, look, place)

    monkeypatch.setattr(out.shelf, "lines", noted)
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


def test_a_ledger_that_was_set_back_leaves_no_piece(out: Out) -> None:
    request = Request(Positions((1,), (41,)), LINES, None, 100)
    out.shelf.pieces.put(request, Piece(b"x\n", (42,), 7, 1))
    out.shelf.set_back(Ledger(0, 1))
    assert out.shelf.pieces.find(request) is None


def test_the_number_of_pieces_is_bounded() -> None:
    pieces = Pieces()
    requests = [Request(Positions((1,), (number,)), LINES, None, 100) for number in range(MOST_PIECES + 3)]
    for request in requests:
        pieces.put(request, Piece(b"x\n", (0,), 0, 1))
    kept = [request for request in requests if pieces.find(request)]
    assert kept == requests[3:]
