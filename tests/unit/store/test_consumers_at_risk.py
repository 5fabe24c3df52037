"""Consumers whose records, ledger or store fail them: nothing is lost, and what nobody knows is said."""

import asyncio
from time import monotonic
from typing import Any

import pytest
import redis

from app.errors import StoreDenied, StoreError, StoreTimeout
from app.settings.model import Settings
from app.store.partitions import signature_hash
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.handed import IDLE_MS, LEASE_MS, Reader, deliver, missed_in, names_in
from tests.support.keys import keys_without_expiry
from tests.support.ledger import store_key
from tests.support.servers import StoreServer, redis_server, valkey_server
from tests.support.store_clock import Clocks

PREFIX = "tidegate:{0}"
NAMES = [f"name-{number}" for number in range(30)]


def _settings(url: str) -> Settings:
    """Settings for a store of the test's own; patient with a busy machine."""
    return Settings(store_url=url, store_deadline_seconds=10, dedup_window_seconds=60)


async def test_after_its_ledger_was_lost_a_consumer_goes_on_with_a_gap_of_unknown_size(
    valkey: StoreServer, single: Gate
) -> None:
    await deliver(single, NAMES[:10])
    reader = Reader(single)
    held, _ = await reader.lease(4), await reader.drain()
    with valkey.nodes()[0] as node:
        node.delete(store_key(PREFIX, "ledger"))
    lost = await reader.lease()
    assert (names_in(lost), missed_in(lost)) == ([], [None])
    await deliver(single, NAMES[10:])
    leases = await reader.lease()
    assert (names_in(leases), missed_in(leases)) == (NAMES[10:], [0])
    assert await reader.commit(held) == {"superseded"}
    assert await reader.commit(leases) == {"committed"}
    [figures] = await reader.consumers.figures()
    assert (figures.missed, figures.unknown_gaps, figures.delivered) == (0, 1, 30)
    other = Reader(single, "other")
    assert len(await other.drain()) == 20
    assert [one.unknown_gaps for one in await other.consumers.figures()] == [1, 0], "it was there before"


async def test_a_loss_is_counted_of_a_consumer_that_was_to_be_told_another_gap(
    valkey: StoreServer, single: Gate
) -> None:
    await deliver(single, NAMES[:10])
    reader = Reader(single)
    await reader.drain()
    with valkey.nodes()[0] as node:
        for key in node.scan_iter(match=store_key(PREFIX, "blocks", "*")):
            node.delete(key)
        await reader.consumers.seek("bot", (await single.accepted.find("now")).before_ms[0], IDLE_MS)
        assert missed_in(await reader.lease()) == [None]
        await reader.consumers.seek("bot", (await single.accepted.find("now")).before_ms[0], IDLE_MS)
        node.delete(store_key(PREFIX, "ledger"))
    assert missed_in(await reader.lease()) == [None]
    [figures] = await reader.consumers.figures()
    assert figures.unknown_gaps == 1


async def test_a_gap_of_unknown_size_that_comes_again_is_counted_once(
    valkey: StoreServer, single: Gate
) -> None:
    await deliver(single, NAMES[:10])
    reader = Reader(single)
    await reader.drain()
    with valkey.nodes()[0] as node:
        node.delete(store_key(PREFIX, "ledger"))
    await deliver(single, NAMES[10:])
    for _ in range(3):
        assert missed_in(await reader.lease(5, lease_ms=1)) == [None]
        await asyncio.sleep(0.002)
    [figures] = await reader.consumers.figures()
    assert (figures.unknown_gaps, figures.redelivered) == (1, 10)


async def test_a_consumer_that_begins_on_an_empty_store_has_no_gap(gate: Gate) -> None:
    reader = Reader(gate)
    assert missed_in(await reader.lease()) == []
    await deliver(gate, NAMES)
    assert set(missed_in(await reader.lease())) == {0}
    [figures] = await reader.consumers.figures()
    assert figures.unknown_gaps == 0


async def test_what_a_partition_lost_with_all_its_data_is_a_gap_of_unknown_size(
    clocks: Clocks, store: StoreServer, gate: Gate
) -> None:
    """The first partition remembers the consumer; a store that has no other one remembers nothing."""
    clock = clocks(store, gate)
    reader = Reader(gate)
    await gate.flusher.flush([transaction(name) for name in NAMES[:20]])
    await reader.drain()
    clock.move(61)
    lost = gate.maps.layout.prefixes[1:]
    with store.client() as client:
        for prefix in lost:
            client.delete(store_key(prefix, "ledger"), store_key(prefix, "consumer", "bot"))
    gaps = missed_in(await reader.lease())
    assert gaps == [None] * len(lost)
    await gate.flusher.flush([transaction(name) for name in NAMES[20:]])
    assert set(missed_in(await reader.lease())) == {0}
    [figures] = await reader.consumers.figures()
    assert figures.unknown_gaps == len(lost)


@pytest.mark.parametrize("harm", ["delete", "junk"])
async def test_a_record_that_is_lost_begins_again_where_the_consumer_began(
    store: StoreServer, gate: Gate, harm: str
) -> None:
    await deliver(gate, NAMES[:10])
    await asyncio.sleep(0.002)
    reader = Reader(gate)
    await reader.lease(start="now")
    await deliver(gate, NAMES[10:])
    held = await reader.lease()
    assert sorted(names_in(held)) == sorted(NAMES[10:])
    assert await reader.commit(held) == {"committed"}
    with store.client() as client:
        for prefix in gate.maps.layout.prefixes[1:] or gate.maps.layout.prefixes:
            key = store_key(prefix, "consumer", "bot")
            if harm == "junk":
                client.set(key, b"\x93\x01", px=60_000)
            else:
                client.delete(key)
    again = set(await reader.drain(start="now"))
    if store.clustered:  # the first partition is as it was
        first = gate.maps.layout.prefixes[0]
        lost = {name for name in NAMES[10:] if gate.maps.partition_of(signature_hash(name)) != first}
        assert again == lost
    else:  # the only one: what it began with is lost too, so it begins with the oldest
        assert again == set(NAMES)
        assert await reader.commit(held) == {"unknown"}


async def test_a_record_that_is_lost_after_its_consumer_was_moved_begins_again_where_it_was_moved_to(
    store: StoreServer, gate: Gate
) -> None:
    await deliver(gate, NAMES)
    await asyncio.sleep(0.002)
    reader = Reader(gate)
    await reader.drain(10)
    await reader.consumers.seek("bot", "now", IDLE_MS)
    with store.client() as client:
        for prefix in gate.maps.layout.prefixes[1:]:
            client.delete(store_key(prefix, "consumer", "bot"))
    assert await reader.drain() == []


async def test_names_that_are_lost_come_back_with_the_next_lease(store: StoreServer, gate: Gate) -> None:
    await deliver(gate, NAMES[:10])
    reader = Reader(gate)
    await reader.drain()
    with store.client() as client:
        client.delete(store_key(gate.maps.layout.prefixes[0], "consumers"))
    assert await reader.consumers.figures() == []
    assert await reader.drain() == []
    assert [one.name for one in await reader.consumers.figures()] == ["bot"]


async def test_when_the_clock_is_set_back_a_lease_lasts_no_longer(
    clocks: Clocks, store: StoreServer, gate: Gate
) -> None:
    clock = clocks(store, gate)
    await gate.flusher.flush([transaction(name) for name in NAMES])
    reader = Reader(gate)
    held = await reader.lease()
    clock.move(-1_000)
    assert names_in(await reader.lease()) == []
    clock.move(LEASE_MS // 1000 - 10)
    assert names_in(await reader.lease()) == []
    clock.move(11)
    again = [name for _ in range(6) for name in names_in(await reader.lease())]
    assert sorted(again) == sorted(names_in(held))


async def test_everything_of_a_consumer_expires_after_its_last_call_and_the_end_of_its_leases(
    store: StoreServer, gate: Gate
) -> None:
    await gate.flusher.flush([transaction(name) for name in NAMES])
    reader = Reader(gate)
    prefixes = gate.maps.layout.prefixes
    keys = [store_key(prefixes[0], "consumers")]
    keys += [store_key(prefix, "consumer", "bot") for prefix in prefixes]

    begun = monotonic()
    leases = await reader.lease(lease_ms=600_000)
    await reader.commit(leases)
    await reader.consumers.seek("bot", "oldest", IDLE_MS)
    await reader.lease(lease_ms=1)
    with store.client() as client:
        left = [client.pttl(key) for key in keys]
    kept = IDLE_MS + 600_000
    assert all(kept - 1000 * (monotonic() - begun) - 2 <= one <= kept for one in left)
    assert keys_without_expiry(store) == []


@pytest.mark.server
@pytest.mark.parametrize("start", [valkey_server, redis_server])
async def test_in_a_full_store_a_consumer_gets_on(start: Any) -> None:
    with start(maxmemory="6mb") as server, server.nodes()[0] as node:
        gate = await connected_gate(_settings(server.url))
        await gate.flusher.flush([transaction(name) for name in NAMES])
        reader = Reader(gate)
        held = await reader.lease(5)
        node.config_set("maxmemory", "1mb")
        with pytest.raises(redis.ResponseError, match="maxmemory"):
            node.set("more", "x", ex=60)
        assert await reader.commit(held) == {"committed"}
        assert await reader.drain(4) == NAMES[5:]
        await reader.consumers.seek("bot", "oldest", IDLE_MS)
        assert await Reader(gate, "new").drain() == await reader.drain() == NAMES
        await gate.session.close()


@pytest.mark.server
@pytest.mark.parametrize("start", [valkey_server, redis_server])
async def test_a_store_that_refuses_what_only_readers_need_still_takes_transactions(start: Any) -> None:
    with start() as server, server.nodes()[0] as node:
        node.acl_setuser("gate", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-zadd"])
        url = server.url.replace("redis://", "redis://gate:pw@")
        gate = await connected_gate(_settings(url))
        await deliver(gate, NAMES[:1])
        with pytest.raises(StoreDenied) as refused:
            await Reader(gate).lease()
        assert refused.value.command == "ZADD"
        assert gate.session.is_up
        await deliver(gate, NAMES[1:])
        await gate.session.close()


async def test_what_other_partitions_gave_is_handed_out_although_one_fails(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefixes, run = gate.maps.layout.prefixes, gate.session.run
    failing = prefixes[-1]

    async def broken(script: str, prefix: str, args: Any) -> Any:
        if prefix == failing:
            raise StoreTimeout("no answer")
        return await run(script, prefix, args)

    await gate.flusher.flush([transaction(name) for name in NAMES])
    reader = Reader(gate)
    monkeypatch.setattr(gate.session, "run", broken)
    if len(prefixes) > 1:
        handed = names_in(await reader.lease())
        assert names_in(await reader.lease()) == [], "the others have nothing more, and may have soon"
    else:
        handed = []
        with pytest.raises(StoreError):
            await reader.lease()
    monkeypatch.undo()
    assert sorted(handed + await reader.drain()) == sorted(NAMES)
