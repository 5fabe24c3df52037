"""Leases of consumers: committed, ended, handed out again, too many; in any order: laws/test_handed_on.py."""

import asyncio
from typing import Any

import pytest

from app.consumer_errors import TooManyConsumers, TooManyLeases
from app.store.partitions import signature_hash
from tests.conftest import MakeSettings
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.handed import IDLE_MS, LEASE_MS, Reader, deliver, missed_in, names_in
from tests.support.ledger import store_key
from tests.support.servers import StoreServer
from tests.support.store_clock import Clocks

NAMES = [f"name-{number}" for number in range(30)]


async def test_a_lease_that_ended_is_handed_out_again_first_and_its_number_is_void(
    clocks: Clocks, store: StoreServer, gate: Gate
) -> None:
    clock = clocks(store, gate)
    await gate.flusher.flush([transaction(f"name-{number}") for number in range(160)])
    reader = Reader(gate)
    slow = await reader.lease(12)
    quick = await reader.lease(12)
    assert await reader.commit(quick) == {"committed"}
    clock.move(LEASE_MS // 1000 - 1)
    assert not {part.is_again for part in (await reader.lease(1)).parts if part} & {True}, "not ended yet"
    clock.move(2)
    again = await reader.lease()
    assert {part.is_again for part in again.parts if part} >= {True}
    while not set(names_in(again)) >= set(names_in(slow)):
        more = await reader.lease()
        again = again._replace(parts=[*again.parts, *more.parts])
    assert await reader.commit(slow) == {"superseded"}
    [figures] = await reader.consumers.figures()
    assert figures.redelivered == 12


async def test_an_ended_lease_that_nobody_took_may_still_be_committed(
    clocks: Clocks, store: StoreServer, gate: Gate
) -> None:
    clock = clocks(store, gate)
    await gate.flusher.flush([transaction(name) for name in NAMES])
    reader = Reader(gate)
    leases = await reader.lease()
    clock.move(LEASE_MS // 1000 + 1)
    assert await reader.commit(leases) == {"committed"}
    assert await reader.commit(leases) == {"repeated"}
    assert await reader.drain() == []


async def test_of_an_ended_lease_no_more_is_handed_out_than_is_asked_for(
    single: Gate,
) -> None:
    await single.flusher.flush([transaction(name) for name in NAMES])
    reader = Reader(single)
    await reader.lease(20, lease_ms=1)
    await asyncio.sleep(0.002)
    pieces = [names_in(await reader.lease(8)) for _ in range(4)]
    assert pieces == [NAMES[:8], NAMES[8:16], NAMES[16:20], NAMES[20:28]]
    [figures] = await reader.consumers.figures()
    assert (figures.leases, figures.delivered, figures.redelivered) == (4, 28, 20)


async def test_what_is_left_of_an_ended_lease_is_nobodys_to_commit(single: Gate) -> None:
    await single.flusher.flush([transaction(name) for name in NAMES])
    reader = Reader(single)
    await reader.lease(20, lease_ms=1)
    await asyncio.sleep(0.002)
    piece = await reader.lease(8)
    rest = piece._replace(parts=[part and part._replace(number=0) for part in piece.parts])
    assert await reader.commit(rest) == {"unknown"}
    assert names_in(await reader.lease(30)) == NAMES[8:20]


async def test_that_a_lease_went_to_another_is_forgotten_by_its_number(
    clocks: Clocks, valkey: StoreServer, single: Gate
) -> None:
    """Number 1 lasts longer, and goes to another as the 44th. Of 64 it is remembered, the highest numbers."""
    clock = clocks(valkey, single)
    await single.flusher.flush([transaction(name) for name in NAMES[:2]])
    reader = Reader(single)
    leases = [await reader.lease(1, lease_ms=445_000)]
    for _ in range(64 + 44 + 1):
        clock.move(10)
        leases.append(await reader.lease(1, lease_ms=5_000))
    outcomes = [(await reader.commit(lease)).pop() for lease in leases]
    assert outcomes.count("committed") == 2
    assert [one for one in outcomes if one != "committed"] == ["unknown"] * 44 + ["superseded"] * 64


async def test_a_gap_is_told_again_with_the_lease_that_is_handed_out_again_and_counted_once(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(valkey, dedup_window_seconds=60, transactions_limit=8, observations_limit=8)
    gate = await connected_gate(settings)
    reader = Reader(gate)
    await reader.lease()
    await deliver(gate, NAMES[:12])
    first = await reader.lease(3, lease_ms=1)
    assert (names_in(first), missed_in(first)) == (NAMES[4:7], [4])
    await asyncio.sleep(0.002)
    again = await reader.lease(3, lease_ms=1)
    assert (names_in(again), missed_in(again)) == (NAMES[4:7], [4])
    await deliver(gate, NAMES[12:14])
    await asyncio.sleep(0.002)
    third = await reader.lease(3, lease_ms=1)
    assert (names_in(third), missed_in(third)) == (NAMES[6:7], [6])
    await deliver(gate, NAMES[14:])
    await asyncio.sleep(0.002)
    empty = await reader.lease(3)
    assert (names_in(empty), missed_in(empty)) == ([], [7])
    assert await reader.commit(empty) == {"committed"}
    rest = await reader.lease()
    assert (names_in(rest), missed_in(rest)) == (NAMES[22:], [15])
    [figures] = await reader.consumers.figures()
    assert figures.missed == 22
    await gate.session.close()


async def test_no_more_than_64_leases_are_outstanding(single: Gate) -> None:
    await single.flusher.flush([transaction(f"many-{number}") for number in range(70)])
    reader = Reader(single)
    leases = [await reader.lease(1) for _ in range(64)]
    with pytest.raises(TooManyLeases):
        await reader.lease(1)
    assert await reader.commit(leases[17]) == {"committed"}
    assert names_in(await reader.lease(1)) == ["many-64"]
    with pytest.raises(TooManyLeases):
        await reader.lease(1)
    [figures] = await reader.consumers.figures()
    assert (figures.leases, figures.lag_transactions) == (64, 69)


async def test_of_64_leases_that_ended_no_more_is_handed_out_than_is_asked_for(
    clocks: Clocks, valkey: StoreServer, single: Gate
) -> None:
    """There is no room for a lease more, so what is left of each waits until something is committed."""
    clock = clocks(valkey, single)
    many = [f"many-{number}" for number in range(3 * 64)]
    await single.flusher.flush([transaction(name) for name in many])
    reader = Reader(single)
    for _ in range(64):
        await reader.lease(3)
    clock.move(LEASE_MS // 1000 + 1)
    again = [await reader.lease(2) for _ in range(64)]
    assert [names_in(leases) for leases in again] == [many[at : at + 2] for at in range(0, len(many), 3)]
    with pytest.raises(TooManyLeases):
        await reader.lease(2)
    [figures] = await reader.consumers.figures()
    assert (figures.leases, figures.lag_transactions, figures.redelivered) == (64, 192, 128)
    assert await reader.commit(again[5]) == {"committed"}
    assert await reader.commit(again[3]) == {"committed"}
    rests = [await reader.lease(2) for _ in range(2)]
    assert [names_in(leases) for leases in rests] == [["many-11"], ["many-17"]]
    with pytest.raises(TooManyLeases):
        await reader.lease(2)
    for leases in (*again, *rests):
        assert await reader.commit(leases) <= {"committed", "repeated"}
    assert await reader.drain(2) == [name for name in many[2::3] if name not in {"many-11", "many-17"}]


async def test_when_a_lease_ends_its_rest_comes_again_with_it(single: Gate) -> None:
    await single.flusher.flush([transaction(name) for name in NAMES])
    reader = Reader(single)
    await reader.lease(20, lease_ms=1)
    await asyncio.sleep(0.002)
    piece = await reader.lease(8, lease_ms=1)
    await asyncio.sleep(0.002)
    assert names_in(await reader.lease(12)) == NAMES[:12]
    assert await reader.commit(piece) == {"superseded"}
    assert names_in(await reader.lease()) == NAMES[12:20]
    assert names_in(await reader.lease()) == NAMES[20:]


async def test_of_an_ended_lease_that_is_committed_in_part_the_rest_stays(single: Gate) -> None:
    await single.flusher.flush([transaction(name) for name in NAMES])
    reader = Reader(single)
    await reader.lease(20, lease_ms=1)
    await asyncio.sleep(0.002)
    piece = await reader.lease(8, lease_ms=1)
    await asyncio.sleep(0.002)
    assert await reader.commit(piece) == {"committed"}
    [figures] = await reader.consumers.figures()
    assert (figures.leases, figures.lag_transactions) == (1, 22)
    assert figures.lag_seconds > 0
    assert await reader.drain() == NAMES[8:]


async def test_where_one_partition_has_as_many_leases_as_there_may_be_others_give(gate: Gate) -> None:
    full = gate.maps.layout.prefixes[0]
    names = [f"many-{number}" for number in range(2000)]
    mine = [name for name in names if gate.maps.partition_of(signature_hash(name)) == full]
    await gate.flusher.flush([transaction(name) for name in mine[:65]])
    reader = Reader(gate)
    for _ in range(64):
        assert names_in(await reader.lease(1))
    with pytest.raises(TooManyLeases):
        await reader.lease(1)
    others = [name for name in names if name not in mine][:20]
    await deliver(gate, others)
    handed = [name for _ in others for name in names_in(await reader.lease(1))]
    assert sorted(handed) == sorted(others)
    with pytest.raises(TooManyLeases):
        await reader.lease(1)


async def test_one_consumer_too_many_is_refused_and_told_who_is_idle(gate: Gate) -> None:
    for number in (0, 1, 2, 0):
        await Reader(gate, f"bot-{number}").lease(most=3)
        await asyncio.sleep(0.002)  # the order is by the millisecond
    with pytest.raises(TooManyConsumers, match="bot-1, bot-2, bot-0") as caught:
        await Reader(gate, "bot-3").lease(most=3)
    assert caught.value.idle == ["bot-1", "bot-2", "bot-0"]
    consumers = Reader(gate).consumers
    assert await consumers.forget("bot-2")
    assert not await consumers.forget("bot-2")
    await Reader(gate, "bot-3").lease(most=3)
    assert [one.name for one in await consumers.figures()] == ["bot-1", "bot-0", "bot-3"]


async def test_a_consumer_that_was_forgotten_makes_room(
    clocks: Clocks, store: StoreServer, gate: Gate
) -> None:
    clock = clocks(store, gate)
    await Reader(gate, "idle").lease(most=1)
    clock.move(IDLE_MS // 1000 + LEASE_MS // 1000 + 1)
    await Reader(gate, "bot").lease(most=1)
    assert [one.name for one in await Reader(gate).consumers.figures()] == ["bot"]


async def test_a_consumer_that_was_forgotten_begins_where_it_asks_to(
    clocks: Clocks, store: StoreServer, gate: Gate
) -> None:
    clock = clocks(store, gate)
    await deliver(gate, NAMES)
    reader = Reader(gate)
    await reader.drain()
    clock.move(IDLE_MS // 1000 + LEASE_MS // 1000 + 1)
    with store.client() as client:
        for prefix in gate.maps.layout.prefixes:  # as they expire by the server's own clock
            client.delete(store_key(prefix, "consumer", "bot"))
    assert await reader.drain(start="now") == []


async def test_a_consumer_that_was_forgotten_in_the_first_partition_begins_anew_in_all(gate: Gate) -> None:
    await deliver(gate, NAMES)
    reader = Reader(gate)
    await reader.drain()
    first = gate.maps.layout.prefixes[0]
    assert await gate.session.run("forget_consumer", first, [gate.maps.layout.rules, "bot"]) == 1
    assert sorted(await reader.drain()) == sorted(NAMES)


async def test_a_lease_of_a_consumer_that_was_forgotten_and_came_again_is_unknown(gate: Gate) -> None:
    await gate.flusher.flush([transaction(name) for name in NAMES])
    reader = Reader(gate)
    old = await reader.lease()
    assert await reader.consumers.forget("bot")
    assert await reader.commit(old) == {"unknown"}
    new = await reader.lease()
    assert names_in(new) == names_in(old)
    assert [part.number for part in new.parts if part] == [part.number for part in old.parts if part]
    assert await reader.commit(old) == {"unknown"}
    assert await reader.commit(new) == {"committed"}


async def test_a_lease_of_another_consumer_or_one_that_never_was_is_unknown(gate: Gate) -> None:
    await gate.flusher.flush([transaction(name) for name in NAMES])
    one, other = Reader(gate, "one"), Reader(gate, "other")
    leases = await one.lease()
    await other.lease()
    assert await Reader(gate, "nobody").commit(leases) == {"unknown"}
    assert await other.commit(leases) == {"unknown"}
    for number in (-1, 0, 99):
        made_up = leases._replace(parts=[part and part._replace(number=number) for part in leases.parts])
        assert await one.commit(made_up) == {"unknown"}
    assert await one.commit(leases) == {"committed"}


async def test_of_the_latest_64_superseded_leases_it_is_known_and_of_earlier_ones_not(single: Gate) -> None:
    await single.flusher.flush([transaction(name) for name in NAMES])
    reader = Reader(single)
    done = await reader.lease(1)
    assert await reader.commit(done) == {"committed"}
    leases = list[Any]()
    for _ in range(70):
        leases.append(await reader.lease(1))
        await reader.consumers.seek("bot", "oldest", IDLE_MS)
    outcomes = [await reader.commit(lease) for lease in leases]
    assert outcomes == [{"unknown"}] * 6 + [{"superseded"}] * 64
    assert await reader.commit(done) == {"unknown"}
    last = await reader.lease(1)
    assert [await reader.commit(last) for _ in range(2)] == [{"committed"}, {"repeated"}]
