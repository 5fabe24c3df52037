"""Readers of the stream: a block read once for all, lines longer than a piece, heartbeats, and ends."""

import asyncio
import json

import pytest

from app.consumers.cursor import parse_cursor
from app.consumers.stream_formats import Form, Look
from app.consumers.stream_reader import LineLostError
from tests.support.servers import StoreServer
from tests.support.streams import WAIT_SECONDS
from tests.support.way_out import Out, names, take


async def test_readers_that_tail_share_one_read_of_each_block(out: Out) -> None:
    readers = [await out.reader("now") for _ in range(5)]
    taking = [asyncio.create_task(take(reader, 40)) for reader in readers]
    for number in range(8):
        await out.post(f"shared-{number}", 5)
    wanted = [f"shared-{number}-{at}" for number in range(8) for at in range(5)]
    assert [names(await lines) for lines in taking] == [wanted] * 5
    assert len(out.accepted.blocks) == len(set(out.accepted.blocks)) == 8


async def test_readers_that_begin_together_in_the_past_read_it_once(out: Out) -> None:
    for number in range(8):
        await out.post(f"past-{number}", 5)
    readers = [await out.reader("oldest") for _ in range(5)]
    found = await asyncio.gather(*(take(reader, 40) for reader in readers))
    assert [names(lines) for lines in found] == [[f"past-{n}-{at}" for n in range(8) for at in range(5)]] * 5
    assert len(out.accepted.blocks) == len(set(out.accepted.blocks)) == 8


async def test_while_nobody_waits_the_store_is_not_read(out: Out) -> None:
    reader = await out.reader("now")
    taking = asyncio.create_task(take(reader, 1))
    await out.post("first", 1)
    await taking
    for number in range(20):  # it goes some reads ahead, and no further
        await out.post(f"ahead-{number}", 1)
        await asyncio.sleep(0.02)
    assert len(out.accepted.blocks) <= 1 + 4 + 1
    assert len(await take(reader, 20)) == 20


@pytest.mark.parametrize("piece_bytes", [1, 7, 300, 1000])
async def test_lines_longer_than_a_piece_come_in_pieces_and_whole_in_the_end(
    out: Out, piece_bytes: int
) -> None:
    payload = json.dumps("x" * 1000).encode()
    await out.post("long", 3, payload)
    await out.post("short", 3)
    reader = await out.reader("oldest")
    lines = await take(reader, 6, piece_bytes)
    assert [line["payload"] for line in lines] == ["x" * 1000] * 3 + [None] * 3


async def test_a_reader_holds_nothing_of_what_it_has_to_read_again(out: Out) -> None:
    """With a cache for one block, every piece is read anew from the store, and no line is lost or doubled."""
    out = Out(out.runtime, cache_bytes=1)
    for number in range(4):
        await out.post(f"again-{number}", 5, json.dumps("y" * 400).encode())
    one, two = await out.reader("oldest"), await out.reader("oldest")
    for reader in (one, two):
        assert len(await take(reader, 2, 1100)) == 2
    found = await asyncio.gather(take(one, 18, 1100), take(two, 18, 700))
    assert [names(lines) for lines in found] == [
        [f"again-{n}-{at}" for n in range(4) for at in range(5)][2:]
    ] * 2


async def test_a_line_whose_end_has_left_the_store_is_an_error(out: Out, valkey: StoreServer) -> None:
    out = Out(out.runtime, cache_bytes=1)
    await out.post("half", 1, json.dumps("z" * 1000).encode())
    await out.post("whole", 1)
    reader = await out.reader("oldest")
    assert await reader.next_piece(500)
    valkey.flush()
    with pytest.raises(LineLostError):
        await reader.next_piece(500)


async def test_a_heartbeat_comes_while_nothing_does(out: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.consumers.stream_reader.HEARTBEAT_SECONDS", 0.05)
    lines, events = await out.reader("now"), await out.reader("now", look=Look(Form.EVENTS))
    assert [await lines.next_piece(100) for _ in range(3)] == [b"\n"] * 3
    beat = await events.next_piece(100) or b""
    assert beat.startswith(b":\nid: ")
    await out.post("one", 1)
    while not (piece := await lines.next_piece(1000) or b"").strip():
        assert piece == b"\n"
    assert json.loads(piece)["signature"] == "one-0"


@pytest.mark.parametrize("form", [Form.EVENTS, Form.LINES])
async def test_a_heartbeat_has_the_place_behind_what_was_not_wanted(
    out: Out, form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.consumers.stream_reader.HEARTBEAT_SECONDS", 0.05)
    reader = await out.reader("now", look=Look(form), sources=frozenset({"b"}), has_cursor=True)
    await out.post("unwanted", 3)
    newest = await out.accepted.find("now")
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            beat = await reader.next_piece(1000) or b""
            text = beat.split()[-1].decode()
            cursor = parse_cursor(text if form is Form.EVENTS else json.loads(text)["cursor"], "id")
            if cursor.ordinals == newest.ordinals:
                break


async def test_a_reader_that_is_ended_has_no_next_piece_even_while_it_waits(out: Out) -> None:
    reader = await out.reader("now")
    waiting = asyncio.create_task(reader.next_piece(100))
    await asyncio.sleep(0)
    reader.end()
    assert await asyncio.wait_for(waiting, WAIT_SECONDS) is None
    assert await reader.next_piece(100) is None


async def test_a_reader_that_is_ended_within_a_line_has_the_rest_of_it_and_no_more(out: Out) -> None:
    await out.post("long", 2, json.dumps("x" * 1000).encode())
    reader, text = await out.reader("oldest"), b""
    text += await reader.next_piece(300) or b""
    reader.end()
    while piece := await reader.next_piece(300):
        text += piece
    assert [json.loads(line)["signature"] for line in text.splitlines()] == ["long-0"]


async def test_a_client_that_may_have_gone_gets_two_heartbeats_at_once(
    out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.consumers.stream_reader.DOUBT_SECONDS", 0.01)
    reader = await out.reader("now")
    first = asyncio.create_task(reader.next_piece(100))
    await asyncio.sleep(0)
    reader.doubt()
    assert await asyncio.wait_for(first, WAIT_SECONDS) == b"\n"
    assert await asyncio.wait_for(reader.next_piece(100), WAIT_SECONDS) == b"\n"
    third = asyncio.create_task(reader.next_piece(100))
    await out.post("after", 1)
    assert b"after-0" in (await asyncio.wait_for(third, WAIT_SECONDS) or b"")
