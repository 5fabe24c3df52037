"""Gaps: what left before a reader came to it is told, with its number where the store knows it."""

import asyncio
import json

import pytest

from app.consumers.cursor import parse_cursor
from app.consumers.lease_answer import lease_answer
from app.consumers.shelf import Ledger
from app.models import MapName, Mode, Trigger
from app.store.accepted import Positions
from tests.support.api_calls import until
from tests.support.servers import StoreServer
from tests.support.streams import WAIT_SECONDS
from tests.support.way_out import Out, names, take


async def _remove_all(out: Out) -> None:
    """Have all transactions removed, and nothing else."""

    async def are_gone() -> bool:
        await out.runtime.cleanup.run(Trigger.MANUAL, Mode.EMERGENCY, maps=frozenset({MapName.TRANSACTIONS}))
        return (await out.runtime.plane.maps.sizes())[MapName.TRANSACTIONS].entries == 0

    await until(are_gone)


@pytest.mark.parametrize("is_tailing", [False, True])
async def test_what_left_before_the_reader_came_is_a_gap_with_its_exact_count(
    brief: Out, is_tailing: bool
) -> None:
    await brief.post("seen", 2)
    reader = await brief.reader("oldest")
    seen = await take(reader, 2)
    if is_tailing:  # others have come further, and have put it on the shelf
        other = await brief.reader("oldest")
    for number in range(3):
        await brief.post(f"missed-{number}", 4)
    if is_tailing:
        await take(other, 14)
    await _remove_all(brief)
    await _clear_shelf(brief)
    [gap] = await take(reader, 1)
    await brief.post("after", 2)
    after = await take(reader, 2)
    assert names(after) == ["after-0", "after-1"]
    assert gap["gap"]["transactions"] == 12
    assert (
        seen[-1]["first_seen_ms"] == gap["gap"]["from_ms"] <= gap["gap"]["to_ms"] <= after[0]["first_seen_ms"]
    )
    again = await brief.reader(await _resumed(brief, gap["cursor"]))
    assert await take(again, 2) == after, "the cursor of the gap is the place behind it"


async def _clear_shelf(out: Out) -> None:
    """Have the shelf hold nothing, as when other readers needed the room."""
    for partition, born_ms in enumerate((await out.accepted.find("now")).born_ms):
        out.shelf.set_back(Ledger(partition, born_ms))


async def _resumed(out: Out, cursor: str) -> Positions:
    return (await out.accepted.find("now"))._replace(ordinals=parse_cursor(cursor, "after").ordinals)


async def test_a_part_of_what_was_missed_is_counted_as_far_as_it_left(brief: Out) -> None:
    await brief.post("seen", 1)
    reader = await brief.reader("oldest")
    await take(reader, 1)
    await brief.post("missed", 3)
    await _remove_all(brief)
    await _clear_shelf(brief)
    await brief.post("kept", 3)
    first, *kept = await take(reader, 4)
    assert (first["gap"]["transactions"], names(kept)) == (3, ["kept-0", "kept-1", "kept-2"])
    assert first["gap"]["to_ms"] == kept[0]["first_seen_ms"]


@pytest.mark.parametrize("waits", [False, True])
async def test_a_store_that_lost_its_data_is_a_gap_of_which_nobody_knows_the_count(
    out: Out, valkey: StoreServer, waits: bool
) -> None:
    await out.post("lost", 3)
    reader = await out.reader("oldest")
    before = await take(reader, 3)
    taking = asyncio.create_task(take(reader, 5))
    if waits:
        async with asyncio.timeout(WAIT_SECONDS):
            while out.tail.place is None:
                await asyncio.sleep(0.01)
    valkey.flush()
    await out.post("new", 4)
    gap, *lines = await taking
    assert (gap["gap"]["transactions"], names(lines)) == (None, [f"new-{n}" for n in range(4)])
    assert gap["cursor"][:8] != before[0]["cursor"][:8] == before[2]["cursor"][:8]
    assert {line["cursor"][:8] for line in lines} == {gap["cursor"][:8]}


async def test_a_ledger_that_a_failover_set_back_is_read_on_from_there(out: Out, valkey: StoreServer) -> None:
    """What the reader had and the store has lost is a gap that nobody can count; nothing new is skipped."""
    await out.post("kept", 3)
    copies = _copied(valkey)
    await out.post("lost", 5)
    reader = await out.reader("oldest")
    assert len(await take(reader, 8)) == 8
    _put_back(valkey, copies)
    gap = (await take(reader, 1))[0]
    assert gap["gap"]["transactions"] is None
    await out.post("new", 5)
    assert names(await take(reader, 5)) == [f"new-{n}" for n in range(5)]


@pytest.mark.parametrize("count", [2, 4, 9])
async def test_a_consumer_is_handed_what_took_the_ordinals_of_what_a_failover_lost(
    out: Out, valkey: StoreServer, count: int
) -> None:
    await out.post("kept", 3)
    copies = _copied(valkey)
    await out.post("lost", 4)
    assert len(await take(await out.reader("oldest"), 7)) == 7  # what is lost is on the shelf from here on
    _put_back(valkey, copies)
    await out.post("new", count)
    consumers = out.runtime.consumers.consumers
    leases = await consumers.lease("bot", 100, 1 << 20, 30_000, 3_600_000, 64)
    answer = json.loads(await lease_answer("bot", leases, out.readers))
    handed = [f"kept-{n}" for n in range(3)] + [f"new-{n}" for n in range(count)]
    assert names(answer["transactions"]) == handed


def _copied(server: StoreServer) -> dict[bytes, bytes]:
    with server.client() as client:
        return {key: client.dump(key) for key in client.scan_iter()}


def _put_back(server: StoreServer, copies: dict[bytes, bytes]) -> None:
    with server.client() as client:
        client.flushall()
        for key, value in copies.items():
            client.restore(key, 600_000, value)
