"""Gates that store in different ways on one store: the older is refused, and what it left is taken over."""

import time

import msgspec
import pytest
import redis

from app.errors import StoreError, StoreOfOtherFormat
from app.ingest.lookup import Lookup
from app.models import MapName, Reason, Verdict
from app.settings.model import Settings
from app.store.blocks import parse_block
from tests.conftest import MakeSettings
from tests.support.deliver import connected_gate, transaction
from tests.support.ledger import store_key
from tests.support.servers import StoreServer
from tests.support.truth import assert_balanced, assert_nothing_lost, count_entries

PREFIX = "tidegate:{0}"
MARK = f"{PREFIX}:transactions:ledger"
# What a script of format 1 does before it writes anything, in every tick, lookup and acceptance.
OLD_GATE = "return redis.call('HMGET', KEYS[1] .. ':transactions:ledger', 'entries', 'bytes', 'added')"
LONG_WINDOW = {"dedup_window_seconds": 60}
MAPS = ("signatures", "transactions", "observations")


def _turn_into_format_1(node: redis.Redis, ids: dict[str, int]) -> None:
    """Give what a gate has stored the names and the bookkeeping that format 1 had."""
    now_ms = int(time.time() * 1000)
    for key in [*node.scan_iter(match=store_key(PREFIX, "*"))]:
        if b":blocks:" in key:
            blocks: dict[bytes, bytes] = node.hgetall(key)  # type: ignore[assignment]
            for number in filter(None, blocks):  # which had no heads then
                node.hset(key, number, parse_block(blocks[number]).frame)
        node.rename(key, key.replace(b":2:", b":"))
    node.delete(f"{PREFIX}:ledger", f"{PREFIX}:probe", MARK)
    for name in MAPS:
        ledger = {"entries": 3, "bytes": 300, "added": 5, "expired": 2, "due": 2, "on_time": 2}
        node.hset(f"{PREFIX}:{name}:ledger", mapping=ledger)  # type: ignore[arg-type]
        bucket = [ids[name], now_ms + 5000, 3, 300, 7, 60_000]
        node.rpush(f"{PREFIX}:{name}:buckets", msgspec.msgpack.encode(bucket))
        for key in ("ledger", "buckets"):
            node.expire(f"{PREFIX}:{name}:{key}", 600)
    node.hset(f"{PREFIX}:signatures:ledger", mapping={"clock": now_ms, "hold": 60_000})


async def _format_1(server: StoreServer, settings: Settings) -> None:
    """Leave three transactions as a gate of format 1 does."""
    gate = await connected_gate(settings)
    await gate.flusher.flush([transaction(f"old-{number}", payload=number) for number in range(3)])
    await gate.session.close()
    [node] = server.nodes()
    with node:
        ids = {
            key.decode().split(":")[-2]: int(key.decode().rpartition(":")[2])
            for key in node.scan_iter(match=store_key(PREFIX, "*", "1*"))
        }
        _turn_into_format_1(node, ids)


async def test_what_an_older_gate_left_is_taken_over_with_its_windows_its_transactions_and_its_totals(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(valkey, **LONG_WINDOW)
    await _format_1(valkey, settings)
    gate = await connected_gate(settings)
    answers = await gate.flusher.flush([transaction(f"old-{number}") for number in range(3)])
    assert [answer.verdict for answer in answers] == [Verdict.DUPLICATE] * 3
    found = await Lookup(gate.maps).find("old-2")
    assert found is not None
    assert bytes(found.payload) == b"2"
    assert (await gate.accepted.find("oldest")).ordinals == (5,), "readers go on with what comes"
    sizes = await gate.maps.sizes()
    assert sizes[MapName.SIGNATURES].removed[Reason.EXPIRED] == 2
    assert_balanced(sizes, count_entries(valkey))
    assert_nothing_lost(await gate.maps.partitions())
    [node] = valkey.nodes()
    with node:
        left = {key.decode() for key in node.scan_iter(match=f"{PREFIX}:*") if b":2:" not in key}
        assert left == {MARK}
    await gate.session.close()


async def test_a_gate_that_finds_data_of_an_older_one_stores_nothing_before_it_has_taken_it_over(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(valkey, **LONG_WINDOW)
    gate = await connected_gate(settings)
    valkey.flush()
    await _format_1(valkey, settings)
    with pytest.raises(StoreOfOtherFormat, match="format 1"):
        await gate.flusher.flush([transaction("too soon")])
    await gate.session.probe(gate.maps.sizes)
    [answer] = await gate.flusher.flush([transaction("too soon")])
    assert answer.verdict is Verdict.ACCEPTED
    await gate.session.close()


async def test_an_older_gate_is_refused_and_noticed(store: StoreServer, settings_for: MakeSettings) -> None:
    gate = await connected_gate(settings_for(store, **LONG_WINDOW))
    await gate.flusher.flush([transaction("new")])
    noticed = [gate.maps.is_format_1_at_work]
    prefix = gate.maps.layout.prefixes[0]
    with store.client() as client:
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            client.eval(OLD_GATE, 1, prefix)
        assert b"format 2" in client.get(f"{prefix}:transactions:ledger")
        client.set(f"{prefix}:probe", 1, px=60_000)  # its tick writes this before it is refused
    await gate.maps.sizes()
    noticed.append(gate.maps.is_format_1_at_work)
    assert noticed == [False, True]
    await gate.session.close()


async def test_an_older_gate_that_came_between_is_refused_from_the_next_tick_on(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    """Somebody has deleted the mark, and a gate of format 1 has begun its bookkeeping."""
    gate = await connected_gate(settings_for(valkey, **LONG_WINDOW))
    await gate.flusher.flush([transaction("new")])
    [node] = valkey.nodes()
    with node:
        node.delete(MARK)
        node.hset(MARK, "entries", "1")
        node.expire(MARK, 600)
        await gate.maps.sizes()
        assert node.type(MARK) == b"string"
    [answer] = await gate.flusher.flush([transaction("new")])
    assert answer.verdict is Verdict.DUPLICATE
    await gate.session.close()


async def test_a_store_of_a_newer_gate_is_refused_with_a_sentence(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, **LONG_WINDOW))
    valkey.flush()
    [node] = valkey.nodes()
    with node:
        node.set(MARK, "Tidegate keeps this partition in format 3", ex=600)
        for call in (gate.maps.sizes(), gate.flusher.flush([transaction("old")])):
            with pytest.raises(StoreError, match="format 3"):
                await call
        assert not gate.session.is_up
        assert "another version of Tidegate" in gate.session.down_reason.advice  # type: ignore[union-attr]
        assert [*node.scan_iter(match=store_key(PREFIX, "*", "1*"))] == []
    await gate.session.close()
