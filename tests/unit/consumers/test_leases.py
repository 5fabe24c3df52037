"""Leases in one gate: many callers at once, and the room for what they are answered."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from app.consumer_errors import LeaseOfAnother, UnknownLease
from app.consumers.lease_name import LeaseName, parse_lease
from app.consumers.leases import ANSWER_BYTES, MOST_BYTES, Caller, LeaseWanted, Room
from app.errors import Overloaded
from app.runtime import Runtime
from app.server.exchange import GONE, STOPPING
from app.settings.model import Settings
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET
from tests.support.consumer_calls import Consumer
from tests.support.gate import api_client, running
from tests.support.servers import StoreServer
from tests.support.streams import WAIT_SECONDS, signatures, submit

AT_ONCE = ANSWER_BYTES // MOST_BYTES


@pytest.fixture
async def runtime(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Runtime]:
    settings: Settings = settings_for(valkey, dedup_window_seconds=60, **QUIET)
    async with running(settings) as started:
        yield started


async def test_a_crowd_of_consumers_that_waits_gets_what_comes_and_none_is_refused(runtime: Runtime) -> None:
    payload = json.dumps("x" * 700).encode()
    async with api_client(runtime) as client:
        bots = [Consumer(client, f"bot-{number}") for number in range(2 * AT_ONCE)]
        assert {(await bot.lease())["lease"] for bot in bots} == {None}
        waiting = [asyncio.create_task(bot.lease(wait_seconds=60)) for bot in bots]
        async with asyncio.timeout(WAIT_SECONDS):
            while runtime.consumers.calls.taken < len(bots):
                await asyncio.sleep(0.01)
        await submit(runtime, "crowd", 100, payload)
        answers = await asyncio.gather(*waiting)
    assert {len(signatures(answer["transactions"])) for answer in answers} == {100}
    assert runtime.consumers.calls.taken == runtime.consumers.leasing.held_bytes == 0


async def test_room_is_taken_in_turn_and_given_back(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    leasing = runtime.consumers.leasing
    rooms = [Room(leasing) for _ in range(AT_ONCE)]
    for room in rooms:
        await room.take()
    late = [Room(leasing) for _ in range(3)]
    taking = [asyncio.create_task(room.take()) for room in late]
    await asyncio.sleep(0)
    taking[0].cancel()
    await asyncio.sleep(0)
    rooms[0].resize(MOST_BYTES // 2)
    rooms[1].resize(MOST_BYTES // 2)
    await asyncio.wait_for(taking[1], WAIT_SECONDS)
    assert not taking[2].done()
    monkeypatch.setattr("app.consumers.leases.ROOM_SECONDS", 0.01)
    with pytest.raises(Overloaded, match=f"hold {ANSWER_BYTES} bytes already"):
        await Room(leasing).take()
    rooms[2].resize(0)
    await asyncio.wait_for(taking[2], WAIT_SECONDS)
    for room in (*rooms, *late):
        room.resize(0)
    assert leasing.held_bytes == 0


@pytest.mark.parametrize("reason", [GONE, STOPPING])
async def test_a_caller_that_is_over_when_its_turn_comes_is_leased_nothing(
    runtime: Runtime, reason: str
) -> None:
    await submit(runtime, "there", 1)
    leasing, wanted, caller = runtime.consumers.leasing, LeaseWanted(500, 60, 60, "oldest"), Caller()
    caller.end(reason)
    assert await leasing.lease("bot", wanted, caller, Room(leasing)) is None
    assert await runtime.consumers.consumers.figures() == []


async def test_while_callers_wait_one_of_a_name_asks_the_store_for_all(runtime: Runtime) -> None:
    leasing, wanted = runtime.consumers.leasing, LeaseWanted(500, 60, 60, "oldest")
    callers = [Caller() for _ in range(20)]
    waiting = [asyncio.create_task(leasing.lease("bot", wanted, caller, Room(leasing))) for caller in callers]
    async with asyncio.timeout(WAIT_SECONDS):
        while _asked(runtime) < len(callers):  # once each, when they came
            await asyncio.sleep(0.01)
    before = _asked(runtime)
    await submit(runtime, "one", 1)
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=WAIT_SECONDS)
    assert len(done) == 1
    asked = _asked(runtime) - before
    for caller in callers:
        caller.end("gone")
    answers = [await asyncio.wait_for(task, WAIT_SECONDS) for task in pending]
    assert not any(answer is None or any(answer.parts) for answer in answers)
    assert asked < len(callers), "that which leased, one that found no more, and retries for what runs out"


def _asked(runtime: Runtime) -> float:
    labels = {"script": "lease_transactions"}
    name = "tidegate_store_call_duration_seconds_count"
    return runtime.metrics.registry.get_sample_value(name, labels) or 0


def test_a_lease_is_named_by_its_consumer_and_the_numbers_of_all_partitions() -> None:
    lease = LeaseName("bot.a-b:c_d", 0x648E2A9F31C0F, ((0, 17), (3, 2)))
    assert lease.text == "bot.a-b:c_d~648e2a9f31c0f~0-17~3-2"
    assert parse_lease(lease.text, "bot.a-b:c_d") == lease
    with pytest.raises(LeaseOfAnother, match=r"one of bot\.a-b:c_d"):
        parse_lease(lease.text, "bot")
    for text in ("", "bot", "bot~1", "bot~1~", "bot~1~0", "bot~1~0-1\n", "bot~1~0-1~", "~1~0-1", "bot~x~0-1"):
        with pytest.raises(UnknownLease):
            parse_lease(text, "bot")
