"""Consumers: what they are handed, where they begin, how they are moved, what is told of them."""

import asyncio
from typing import Any

import pytest

from app.consumer_errors import UnknownConsumer
from app.store.consumers import Leases
from app.store.positions import Positions
from app.store.read_accepted import Extract
from tests.conftest import MakeSettings
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.handed import IDLE_MS, LEASE_MS, Reader, deliver, missed_in, names_in
from tests.support.servers import StoreServer
from tests.support.store_clock import Clocks

NAMES = [f"name-{number}" for number in range(160)]


async def test_callers_of_one_name_share_the_work_and_those_of_another_get_all(gate: Gate) -> None:
    await gate.flusher.flush([transaction(name) for name in NAMES])
    one, other, third = Reader(gate), Reader(gate), Reader(gate, "third")
    handed = list[str]()
    for reader in (one, other) * 40:
        leases = await reader.lease(4)
        assert len(names_in(leases)) <= 4
        handed += names_in(leases)
        await reader.commit(leases)
    assert sorted(handed) == sorted(NAMES)
    assert sorted(await third.drain(7)) == sorted(NAMES)
    assert await one.drain() == []


async def test_how_long_what_is_not_taken_is_kept_follows_the_retention(gate: Gate) -> None:
    reader = Reader(gate)
    await reader.lease()
    [idle] = await reader.consumers.figures()
    assert (idle.lag_transactions, idle.kept_seconds) == (0, 0.0)
    before = gate.live.settings.transaction_retention_seconds
    await deliver(gate, NAMES[:20])
    [behind] = await reader.consumers.figures()
    assert behind.kept_seconds == before
    longer = {"transaction_retention_seconds": 5 * before}
    gate.live.replace(gate.live.settings.model_copy(update=longer), 1)
    await gate.maps.sizes()  # puts it in force
    [behind] = await reader.consumers.figures()
    assert behind.kept_seconds == 5 * before


@pytest.mark.parametrize("limit", [1, 2, 5, 1000])
async def test_any_limit_is_that_of_all_partitions_together(gate: Gate, limit: int) -> None:
    await gate.flusher.flush([transaction(name) for name in NAMES])
    reader, handed = Reader(gate), list[str]()
    while len(handed) < len(NAMES):
        leases = await reader.lease(limit)
        assert 0 < len(names_in(leases)) <= limit
        handed += names_in(leases)
        assert leases.lag_transactions == len(NAMES) - len(handed) + len(names_in(leases))
        await reader.commit(leases)
    assert sorted(handed) == sorted(NAMES)


async def test_nothing_is_leased_of_nothing(gate: Gate) -> None:
    leases = await Reader(gate).lease()
    assert set(leases.parts) == {None}
    assert (leases.lag_transactions, leases.lag_seconds) == (0, 0.0)


async def test_a_consumer_may_begin_with_what_comes(gate: Gate) -> None:
    await deliver(gate, NAMES[:10])
    await asyncio.sleep(0.002)  # a Cluster's partitions begin with the millisecond of the first
    reader = Reader(gate)
    assert names_in(await reader.lease(start="now")) == []
    await deliver(gate, NAMES[10:])
    assert sorted(await reader.drain()) == sorted(NAMES[10:])


async def test_a_gap_with_nothing_behind_it_is_a_lease(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, dedup_window_seconds=60))
    reader = Reader(gate)
    await reader.lease()
    await deliver(gate, NAMES[:3])
    gate.live.replace(gate.live.settings.model_copy(update={"transactions_limit_bytes": 1}), 1)
    await gate.maps.sizes()
    leases = await reader.lease()
    assert (names_in(leases), missed_in(leases)) == ([], [3])
    assert leases.lag_seconds == 0
    assert await reader.commit(leases) == {"committed"}
    assert (await reader.lease()).parts == [None]
    await gate.session.close()


async def test_a_consumer_is_moved_back_and_forth_and_its_leases_are_void(gate: Gate) -> None:
    await gate.flusher.flush([transaction(name) for name in NAMES[:10]])
    middle = await gate.accepted.find("now")
    await asyncio.sleep(0.002)
    now_ms = max(one.now_ms for one in await gate.accepted.read(middle, 1, 1))
    await asyncio.sleep(0.002)
    await gate.flusher.flush([transaction(name) for name in NAMES[10:]])
    reader = Reader(gate)
    await reader.drain()
    goals: list[tuple[Any, list[str]]] = [
        ("oldest", NAMES),
        ("now", []),
        (middle, NAMES[10:]),
        (now_ms, NAMES[10:]),
        (0, NAMES),
        (now_ms + 3_600_000, []),
    ]
    for goal, names in goals:
        held = await reader.lease()
        await reader.consumers.seek("bot", goal, IDLE_MS)
        assert await reader.commit(held) <= {"superseded"}
        assert sorted(await reader.drain()) == sorted(names), goal


async def test_a_consumer_that_is_not_there_is_not_moved(gate: Gate) -> None:
    with pytest.raises(UnknownConsumer, match="bot"):
        await Reader(gate).consumers.seek("bot", "oldest", IDLE_MS)
    assert await Reader(gate).consumers.figures() == []


async def test_moved_to_a_position_of_another_ledger_a_consumer_gets_all_and_a_gap_of_unknown_size(
    single: Gate,
) -> None:
    await deliver(single, NAMES[:30])
    reader = Reader(single)
    await reader.drain()
    await reader.consumers.seek("bot", Positions((1,), (25,), (0,)), IDLE_MS)
    leases = await reader.lease()
    assert (names_in(leases), missed_in(leases)) == (NAMES[:30], [None])
    await reader.consumers.seek("bot", (await single.accepted.find("now"))._replace(ordinals=(99,)), IDLE_MS)
    ahead = await reader.lease()
    assert (names_in(ahead), missed_in(ahead)) == (NAMES[:30], [None])


@pytest.mark.parametrize("call", ["commit", "seek"])
async def test_a_consumer_is_remembered_from_its_last_call_whichever_that_was(
    clocks: Clocks, store: StoreServer, gate: Gate, call: str
) -> None:
    clock = clocks(store, gate)
    await gate.flusher.flush([transaction(name) for name in NAMES])
    reader = Reader(gate)
    leases = await reader.lease(len(NAMES))
    clock.move((LEASE_MS + IDLE_MS) // 1000 - 5)
    if call == "commit":
        await reader.commit(leases)
    else:
        await reader.consumers.seek("bot", "oldest", IDLE_MS)
    clock.move(IDLE_MS // 1000 - 5)
    assert [figures.name for figures in await reader.consumers.figures()] == ["bot"]
    clock.move(10)
    assert await reader.consumers.figures() == []


async def test_figures_say_how_far_a_consumer_has_come(
    clocks: Clocks, store: StoreServer, gate: Gate
) -> None:
    clock = clocks(store, gate)
    begun_ms = clock.now_ms()
    await gate.flusher.flush([transaction(name) for name in NAMES])
    reader = Reader(gate)
    await reader.commit(await reader.lease(12))
    held = await reader.lease(6)
    called_ms = clock.now_ms()
    clock.move(7)
    [figures] = await reader.consumers.figures()
    assert (figures.name, sum(figures.ordinals), figures.lag_transactions) == ("bot", 18, 148)
    assert 7 <= figures.lag_seconds <= (clock.now_ms() - begun_ms) / 1000
    assert figures.leases == len([part for part in held.parts if part])
    assert (figures.delivered, figures.redelivered, figures.missed) == (18, 0, 0)
    assert begun_ms <= figures.called_ms <= called_ms
    await reader.commit(held)
    await reader.drain()
    [figures] = await reader.consumers.figures()
    assert (figures.lag_transactions, figures.lag_seconds, figures.leases) == (0, 0.0, 0)


async def test_the_lag_is_the_age_of_the_first_that_is_kept_and_not_committed(
    clocks: Clocks, valkey: StoreServer, narrow: Gate
) -> None:
    clock, reader = clocks(valkey, narrow), Reader(narrow)
    for name in ("left", "committed", "waits"):
        await deliver(narrow, [name])
        if name == "left":
            await reader.lease(1, lease_ms=600_000)
        clock.move(10)
    await reader.commit(await reader.lease(1))
    begun_ms = clock.now_ms()
    await deliver(narrow, (f"more-{number}" for number in range(62)))
    [figures] = await reader.consumers.figures()
    assert 10 <= figures.lag_seconds <= 10 + (clock.now_ms() - begun_ms) / 1000 + 1
    assert figures.leases == 1


async def test_what_waits_behind_a_lease_that_has_left_counts_for_the_lag(
    clocks: Clocks, valkey: StoreServer, narrow: Gate
) -> None:
    """A lease of two ended, and the first of them is handed out again: the other is its rest."""
    clock, reader = clocks(valkey, narrow), Reader(narrow)
    for name in ("left", "rest"):
        await deliver(narrow, [name])
        clock.move(10)
    await reader.lease(2, lease_ms=1)
    clock.move(10)
    assert names_in(await reader.lease(1, lease_ms=600_000)) == ["left"]
    begun_ms = clock.now_ms()
    await deliver(narrow, (f"more-{number}" for number in range(63)))
    [figures] = await reader.consumers.figures()
    assert 20 <= figures.lag_seconds <= 20 + (clock.now_ms() - begun_ms) / 1000 + 1
    leases = await reader.lease(1)
    assert names_in(leases) == ["rest"], "it is kept"


async def test_a_lease_tells_the_age_of_the_oldest_that_is_not_committed(
    clocks: Clocks, valkey: StoreServer, single: Gate
) -> None:
    clock = clocks(valkey, single)
    for name in NAMES[:5]:
        await deliver(single, [name])
        clock.move(10)
    reader = Reader(single)
    first, second = await reader.lease(2), await reader.lease(2)
    assert await reader.commit(first) == {"committed"}
    third = await reader.lease(2)
    for leases, oldest in ((first, first), (second, first), (third, second)):
        age_ms = _extract(leases).now_ms - _extract(oldest).blocks[0].accepted_ms
        assert round(leases.lag_seconds * 1000) == age_ms


def _extract(leases: Leases) -> Extract:
    """What the only partition has leased."""
    [part] = leases.parts
    assert part
    return part.extract


async def test_on_a_cluster_small_leases_come_from_each_partition_in_turn(gate: Gate) -> None:
    await gate.flusher.flush([transaction(name) for name in NAMES])
    reader, partitions = Reader(gate), gate.accepted.partitions
    leases = [await reader.lease(1) for _ in range(partitions)]
    asked = [[at for at, part in enumerate(one.parts) if part] for one in leases]
    assert sorted(asked) == [[at] for at in range(partitions)]
