"""A failover sets a store back to where its replica was: readers get all that is accepted from then on."""

import asyncio
import json

import pytest

from app.consumer_errors import UnknownCursor
from app.consumers.cursor import parse_cursor
from app.consumers.lease_answer import lease_answer
from app.consumers.stream_formats import Wanted
from app.consumers.stream_reader import StreamReader
from tests.support.servers import StoreServer
from tests.support.streams import WAIT_SECONDS, Line
from tests.support.way_out import LINES, Out, names, take

LOST = 5
COUNTS = [1, LOST - 1, LOST, LOST + 1, 2 * LOST]
"""How many are accepted after the failover, which are given the ordinals of what it has lost."""


def _names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


async def _lose(out: Out, store: StoreServer, count: int) -> None:
    """Set the store back to what it had before it accepted so many."""
    copies = _copied(store)
    await out.post("lost", count)
    for reader in (await out.reader("oldest"), await out.reader("oldest", limit=1)):
        assert await reader.next_piece(16 * 1024)  # what is lost is in the cache from here on
    await out.tail.close()
    _put_back(store, copies)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("waits", [False, True])
async def test_an_open_stream_gets_all_that_is_new(
    out: Out, valkey: StoreServer, waits: bool, count: int
) -> None:
    """All that is kept comes again, since nobody knows from where on it is other than it was."""
    await out.post("kept", 3)
    copies = _copied(valkey)
    await out.post("lost", LOST)
    reader = await out.reader("oldest")
    assert len(await take(reader, 3 + LOST)) == 3 + LOST
    taking = asyncio.create_task(take(reader, 1 + 3 + count))
    if waits:
        async with asyncio.timeout(WAIT_SECONDS):
            while out.tail.place is None:
                await asyncio.sleep(0.01)
    _put_back(valkey, copies)
    await out.post("new", count)
    gap, *lines = await taking
    assert gap["gap"]["transactions"] is None
    assert names(lines) == [*_names("kept", 3), *_names("new", count)]
    await out.post("more", 1)
    assert names(await take(reader, 1)) == ["more-0"]


async def _from(out: Out, line: Line) -> StreamReader:
    """A reader that goes on behind a line, as `GET /stream?after=` makes it."""
    newest = await out.accepted.find("now")
    place = parse_cursor(line["cursor"], "after").place(newest)
    return StreamReader(out.readers, Wanted(LINES), place, 0, newest)


@pytest.mark.parametrize("count", COUNTS)
async def test_from_a_cursor_from_before_all_that_is_new_comes_or_none_is_promised(
    out: Out, valkey: StoreServer, count: int
) -> None:
    await out.post("kept", 3)
    copies = _copied(valkey)
    await out.post("lost", LOST)
    lines = await take(await out.reader("oldest"), 3 + LOST)
    await out.tail.close()
    _put_back(valkey, copies)
    await out.post("new", count)
    expected = [*_names("kept", 3), *_names("new", count)]
    other = Out(out.runtime)
    for at, line in enumerate(lines):
        if at < 3:
            assert names(await take(await _from(other, line), 2 + count - at)) == expected[at + 1 :]
        elif at - 3 < count - 1:
            gap, *rest = await take(await _from(other, line), 1 + 3 + count)
            assert (gap["gap"]["transactions"], names(rest)) == (None, expected)
        else:
            with pytest.raises(UnknownCursor, match="after a failover"):
                await _from(other, line)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("behind", ["kept-2", "new-0"])
async def test_what_was_lost_and_is_still_at_hand_takes_the_place_of_nothing(
    out: Out, valkey: StoreServer, count: int, behind: str
) -> None:
    """Who comes before anybody has noticed may be sent it, and then all that is kept."""
    await out.post("kept", 3)
    await _lose(out, valkey, LOST)
    await out.post("new", count)
    other = Out(out.runtime)
    lines = await take(await other.reader("oldest"), 3 + count)
    [at] = [at for at, line in enumerate(lines) if line["signature"] == behind]
    reader = await _from(out, lines[at])
    await out.post("more", 1)
    everything = [*names(lines), "more-0"]
    if behind == "new-0":
        assert names(await take(reader, len(everything) - at - 1)) == everything[at + 1 :]
        return
    *lost, gap = await take(reader, LOST + 1)
    assert names(lost) == _names("lost", LOST)
    assert gap["gap"]["transactions"] is None
    assert names(await take(reader, len(everything))) == everything


@pytest.mark.parametrize("count", [2, 4, 9])
async def test_a_consumer_is_handed_what_took_the_ordinals_of_what_a_failover_lost(
    out: Out, valkey: StoreServer, count: int
) -> None:
    await out.post("kept", 3)
    await _lose(out, valkey, 4)
    await out.post("new", count)
    consumers = out.runtime.consumers.consumers
    leases = await consumers.lease("bot", 100, 1 << 20, 30_000, 3_600_000, 64)
    answer = json.loads(await lease_answer("bot", leases, out.readers))
    assert names(answer["transactions"]) == [*_names("kept", 3), *_names("new", count)]


def _copied(server: StoreServer) -> dict[bytes, bytes]:
    with server.client() as client:
        return {key: client.dump(key) for key in client.scan_iter()}


def _put_back(server: StoreServer, copies: dict[bytes, bytes]) -> None:
    with server.client() as client:
        client.flushall()
        for key, value in copies.items():
            client.restore(key, 600_000, value)
