"""Streams and leases on each kind of store: what is accepted comes once, partitions merged by the moments."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any

import pytest

from app.api.query import OLDEST
from app.consumer_errors import LeaseLost
from app.consumers.block_cache import Ledger
from app.consumers.cursor import parse_cursor
from app.consumers.lease_answer import lease_answer
from app.consumers.lease_name import parse_lease
from app.consumers.leases import Caller, LeaseWanted
from app.consumers.stream_formats import Form, Look, Wanted
from app.consumers.stream_reader import StreamReader
from app.runtime import Runtime
from app.store.partitions import partition_of, signature_hash
from app.store.positions import Positions
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET
from tests.support.gate import running
from tests.support.handed import MEBIBYTE
from tests.support.servers import StoreServer
from tests.support.streams import WAIT_SECONDS, submit
from tests.support.way_out import Out, take

BATCHES, BATCH = 12, 25
Line = dict[str, Any]


@pytest.fixture
async def runtime(store: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Runtime]:
    """A gate in front of each store of the matrix, in which a number of batches was accepted."""
    settings = settings_for(store, transaction_retention_seconds=3600, dedup_window_seconds=60, **QUIET)
    async with running(settings) as started:
        for number in range(BATCHES):
            await submit(started, f"batch-{number}", BATCH)
        yield started


async def _read(runtime: Runtime, start: Positions, count: int) -> list[Line]:
    """So many lines from there on, and no more than there are."""
    wanted = Wanted(Look(Form.LINES), limit=count)
    reader, text = StreamReader(runtime.consumers.readers, wanted, start, 0, None), b""
    while piece := await reader.next_piece(8 * 1024):
        text += piece
    return [json.loads(line) for line in text.splitlines()]


def _everything() -> list[str]:
    return sorted(f"batch-{number}-{at}" for number in range(BATCHES) for at in range(BATCH))


def _names(lines: Sequence[Line]) -> list[str]:
    return sorted(line["signature"] for line in lines)


def _ordinals(lines: Sequence[Line]) -> list[tuple[int, ...]]:
    return [parse_cursor(line["cursor"], "after").ordinals for line in lines]


async def _place(runtime: Runtime, line: Line) -> Positions:
    newest = await runtime.consumers.readers.find("now")
    return parse_cursor(line["cursor"], "after").place(newest)


async def test_everything_comes_once_and_each_cursor_is_one_transaction_further(runtime: Runtime) -> None:
    start = await runtime.consumers.readers.find("oldest")
    lines = await _read(runtime, start, BATCHES * BATCH)
    assert _names(lines) == _everything()
    places = [start.ordinals, *_ordinals(lines)]
    steps = [
        [new - old for old, new in zip(before, after, strict=True)] for before, after in pairwise(places)
    ]
    assert {tuple(sorted(step, reverse=True)) for step in steps} == {(1, *[0] * (len(start.ordinals) - 1))}
    moments = [line["first_seen_ms"] for line in lines]
    assert moments == sorted(moments), "what was there before is merged by the moments of acceptance"


async def test_partitions_that_the_cache_does_not_have_are_read_before_one_that_it_has(
    runtime: Runtime,
) -> None:
    out = Out(runtime)
    start = await out.accepted.find("oldest")
    first, *others = await out.accepted.read(start, 10_000, MEBIBYTE)
    for block in first.blocks:
        out.cache.put(Ledger(0, 1 + len(others), first.born_ms), block)
    moments = [line["first_seen_ms"] for line in await take(await out.reader("oldest"), BATCHES * BATCH)]
    assert moments == sorted(moments)
    await out.tail.close()


async def test_from_any_line_on_the_rest_comes_once(runtime: Runtime) -> None:
    start = await runtime.consumers.readers.find("oldest")
    lines = await _read(runtime, start, BATCHES * BATCH)
    for at in range(0, len(lines), 17):
        assert await _read(runtime, await _place(runtime, lines[at]), len(lines) - at - 1) == lines[at + 1 :]


async def test_what_is_leased_are_the_same_lines(runtime: Runtime) -> None:
    leasing, wanted = runtime.consumers.leasing, LeaseWanted(20, 0, 60, OLDEST)
    found: list[Line] = []
    while True:
        answer = await _answer(runtime, wanted)
        if answer["lease"] is None:
            break
        assert 0 < len(answer["transactions"]) <= 20
        moments = [line["first_seen_ms"] for line in answer["transactions"]]
        assert moments == sorted(moments)
        found += answer["transactions"]
        assert await leasing.commit(parse_lease(answer["lease"], "bot")) == "committed"
    assert _names(found) == _everything()
    assert (answer["lag"]["transactions"], answer["missed"]) == (0, 0)
    lines = {
        line["signature"]: line
        for line in await _read(runtime, await runtime.consumers.readers.find("oldest"), BATCHES * BATCH)
    }
    assert [line | {"cursor": ""} for line in found] == [
        lines[line["signature"]] | {"cursor": ""} for line in found
    ]


@pytest.mark.parametrize("limit", [1, 3, 50])
async def test_from_the_last_line_of_a_lease_a_stream_has_what_was_not_leased_yet(
    runtime: Runtime, limit: int
) -> None:
    """Also where a partition gave nothing: then the line has the consumer's position there."""
    wanted = LeaseWanted(limit, 0, 60, OLDEST)
    leased: list[Line] = []
    for _ in range(4):
        answer = await _answer(runtime, wanted)
        assert 0 < len(answer["transactions"]) <= limit
        leased += answer["transactions"]
        rest = await _read(runtime, await _place(runtime, leased[-1]), BATCHES * BATCH - len(leased))
        assert _names(leased + rest) == _everything()


async def test_what_nobody_took_over_of_a_lease_is_committed_and_the_answer_says_so(runtime: Runtime) -> None:
    consumers = runtime.consumers
    leasing, partitions = consumers.leasing, len((await consumers.readers.find("now")).ordinals)
    later = list[Line]()
    async with asyncio.timeout(WAIT_SECONDS):
        lost = await _answer(runtime, LeaseWanted(60, 0, 0.001, OLDEST))
        taken = await _answer(runtime, LeaseWanted(1, 0, 60, OLDEST))
        while taken["transactions"][0]["signature"] not in set(_names(lost["transactions"])):
            later += taken["transactions"]
            assert await leasing.commit(parse_lease(taken["lease"], "bot")) == "committed"
            taken = await _answer(runtime, LeaseWanted(1, 0, 60, OLDEST))  # the lease had not run out
    for _ in range(2):  # again it is the same
        with pytest.raises(LeaseLost, match="handed out again") as error:
            await leasing.commit(parse_lease(lost["lease"], "bot"))
        assert error.value.members == {"partitions": {"committed": partitions - 1, "lost": 1}}
        assert ("is committed" in str(error.value)) == (partitions > 1)
    assert await leasing.commit(parse_lease(taken["lease"], "bot")) == "committed"
    while (answer := await _answer(runtime, LeaseWanted(100, 0, 60, OLDEST)))["lease"]:
        later += answer["transactions"]
        assert await leasing.commit(parse_lease(answer["lease"], "bot")) == "committed"
    again = set(_names(lost["transactions"])) & {*_names(later), *_names(taken["transactions"])}
    shares = {partition_of(signature_hash(name), partitions) for name in again}
    assert len(shares) == 1, "what the other partitions gave does not come again"
    assert set(_names([*lost["transactions"], *taken["transactions"], *later])) == set(_everything())


async def _answer(runtime: Runtime, wanted: LeaseWanted) -> dict[str, Any]:
    leasing = runtime.consumers.leasing
    with leasing.room() as room:
        leases = await leasing.lease("bot", wanted, Caller(), room)
    assert leases is not None
    document: dict[str, Any] = json.loads(await lease_answer("bot", leases, runtime.consumers.readers))
    return document
