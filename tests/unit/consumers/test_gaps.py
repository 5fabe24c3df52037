"""Gaps: what left before a reader came to it is told, with its number where the store knows it."""

import asyncio
import json
from typing import Any, cast

import pytest

from app.api.query import start_of
from app.consumers.block_cache import Ledger
from app.consumers.cursor import parse_cursor
from app.consumers.lease_answer import lease_answer
from app.models import MapName, Mode, Trigger
from app.store.consumers import Consumers
from app.store.positions import Positions
from tests.support.api_calls import until
from tests.support.handed import IDLE_MS, MEBIBYTE, MOST_CONSUMERS
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
    if is_tailing:  # others have come further, and have put it in the cache
        other = await brief.reader("oldest")
    for number in range(3):
        await brief.post(f"missed-{number}", 4)
    if is_tailing:
        await take(other, 14)
    await _remove_all(brief)
    await _clear_cache(brief)
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


async def _clear_cache(out: Out) -> None:
    """Have the cache hold nothing, as when other readers needed the room."""
    begun_ms = (await out.accepted.find("now")).born_ms
    for partition, born_ms in enumerate(begun_ms):
        out.cache.set_back(Ledger(partition, len(begun_ms), born_ms))


async def _resumed(out: Out, cursor: str) -> Positions:
    return parse_cursor(cursor, "after").place(await out.accepted.find("now"))


async def test_a_part_of_what_was_missed_is_counted_as_far_as_it_left(brief: Out) -> None:
    await brief.post("seen", 1)
    reader = await brief.reader("oldest")
    await take(reader, 1)
    await brief.post("missed", 3)
    await _remove_all(brief)
    await _clear_cache(brief)
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


@pytest.mark.parametrize("is_known", [False, True])
async def test_who_begins_at_a_moment_before_what_is_kept_is_told_a_gap(brief: Out, is_known: bool) -> None:
    await brief.post("seen", 1)
    await asyncio.sleep(0.002)
    [extract] = await brief.accepted.read(await brief.accepted.find("now"), 1, 1)
    moment = extract.born_ms if is_known else extract.now_ms
    await asyncio.sleep(0.002)
    await brief.post("missed", 3)
    await _remove_all(brief)
    await brief.post("kept", 2)
    gap, *kept = await take(await brief.reader(moment), 3)
    assert gap["gap"]["transactions"] == (4 if is_known else None)
    assert moment == gap["gap"]["from_ms"] <= gap["gap"]["to_ms"] <= kept[0]["first_seen_ms"]
    assert names(kept) == ["kept-0", "kept-1"]
    assert await take(await brief.reader(await _resumed(brief, gap["cursor"])), 2) == kept
    assert names(await take(await brief.reader(kept[0]["first_seen_ms"]), 2)) == names(kept)


async def test_a_gap_before_all_that_a_reader_was_handed_has_the_times_of_what_is_in_it(brief: Out) -> None:
    """The consumers: one from before there was anything, and one that never committed its first lease."""
    consumers = Consumers(brief.runtime.session, brief.runtime.live.layout)

    async def lease(name: str) -> dict[str, Any]:
        terms = (1, MEBIBYTE, 1, IDLE_MS, MOST_CONSUMERS)
        return cast(
            "dict[str, Any]",
            json.loads(await lease_answer(name, await consumers.lease(name, *terms), brief.readers)),
        )

    await lease("early")
    stream = await brief.reader("oldest")
    await brief.post("missed", 1)
    [missed] = (await lease("forgetful"))["transactions"]
    await _remove_all(brief)
    await _clear_cache(brief)
    await asyncio.sleep(0.002)
    answers = [await lease("forgetful")]
    await brief.post("kept", 1)
    answers.append(await lease("early"))
    assert [answer["missed"] for answer in answers] == [1, 1], "the sum of the gaps"
    [again], [early] = (answer["gaps"] for answer in answers)
    told, kept = await take(stream, 2)
    [extract] = await brief.accepted.read(await brief.accepted.find("now"), 1, 1)
    for gap in (early, again, told["gap"]):
        assert gap["transactions"] == 1
        assert extract.born_ms <= gap["from_ms"] <= missed["first_seen_ms"] < gap["to_ms"]
    assert early["to_ms"] == told["gap"]["to_ms"] == kept["first_seen_ms"] >= again["to_ms"]


async def test_who_begins_at_the_moment_0_is_told_what_has_left_as_at_any_other(brief: Out) -> None:
    await brief.post("missed", 3)
    await _remove_all(brief)
    await brief.post("kept", 1)
    gap, kept = await take(await brief.reader(start_of("0", "from")), 2)
    assert (gap["gap"]["transactions"], names([kept])) == (3, ["kept-0"])
