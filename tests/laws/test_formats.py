"""Gates of different formats on one store: the newer keeps to the older format until it is alone."""

import msgspec
import pytest
import redis
import zstandard

from app.errors import StoreError
from app.ingest.lookup import Lookup
from app.models import MapName, Reason, Verdict
from app.store.cleanup_severity import CleanupStep, Severity
from app.store.older_format import OtherGates
from app.store.store_errors import StoreInOlderFormat
from tests.conftest import MakeSettings
from tests.support.deliver import connected_gate, transaction
from tests.support.format_1 import MARK, PREFIX, SILENT_TICKS, leave_format_1, take_over, tick
from tests.support.ledger import store_key
from tests.support.servers import StoreServer
from tests.support.truth import assert_balanced, assert_nothing_lost, count_entries

# What a script of format 1 does before it writes anything, in every tick, lookup and acceptance.
OLD_GATE = "return redis.call('HMGET', KEYS[1] .. ':transactions:ledger', 'entries', 'bytes', 'added')"
AT_WORK, NEWER_AT_WORK = (f"{PREFIX}:at-work:{number}" for number in (2, 3))
LONG_WINDOW = {"dedup_window_seconds": 60}


async def test_what_an_older_gate_left_is_taken_over_with_its_windows_its_transactions_and_its_totals(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(valkey, **LONG_WINDOW)
    await leave_format_1(valkey, settings)
    gate = await connected_gate(settings)
    [node] = valkey.nodes()
    with node:
        await take_over(gate, node)
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
    with node:
        left = {key.decode() for key in node.scan_iter(match=f"{PREFIX}:*") if b":2:" not in key}
        assert left == {MARK, AT_WORK}
    await gate.session.close()


async def test_beside_an_older_gate_a_newer_one_claims_and_looks_up_in_its_format(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(valkey, **LONG_WINDOW)
    gate = await connected_gate(settings)
    valkey.flush()
    await leave_format_1(valkey, settings)
    before = await gate.flusher.flush([transaction("old-1"), transaction("new", payload=7)])
    assert [answer.verdict for answer in before] == [Verdict.DUPLICATE, Verdict.ACCEPTED]
    [node] = valkey.nodes()
    with node:
        assert not node.exists(store_key(PREFIX, "ledger"))
        [blocks] = node.scan_iter(match=f"{PREFIX}:blocks:*")
        stored: bytes = node.hget(blocks, "8")  # type: ignore[assignment]  # the latest was 7
        assert len(msgspec.msgpack.decode(zstandard.decompress(stored))[0]) == 3, "what older gates can read"
        sizes = await gate.maps.sizes()
        assert sizes[MapName.SIGNATURES].entries == 4
        assert gate.maps.other_gates == {OtherGates.OLDER}
        await take_over(gate, node)
    after = await gate.flusher.flush([transaction("old-1"), transaction("new")])
    assert [answer.verdict for answer in after] == [Verdict.DUPLICATE] * 2
    found = await Lookup(gate.maps).find("new")
    assert found is not None
    assert bytes(found.payload) == b"7"
    taken_over = await gate.maps.partitions()
    assert_nothing_lost(taken_over)
    assert taken_over[0].maps[MapName.SIGNATURES].added == 6
    await gate.session.close()


async def test_a_partition_stays_in_the_older_format_while_an_older_gate_shows_itself(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(valkey, **LONG_WINDOW)
    await leave_format_1(valkey, settings)
    gate = await connected_gate(settings)
    born = [(await gate.maps.partitions())[0].born_ms]
    [node] = valkey.nodes()
    with node:
        assert await tick(gate, node, SILENT_TICKS - 1) == {OtherGates.OLDER}
        node.set(f"{PREFIX}:probe", 1, px=60_000)
        assert await tick(gate, node, SILENT_TICKS) == {OtherGates.OLDER}
        node.delete(f"{PREFIX}:probe")
        assert await tick(gate, node, SILENT_TICKS - 1) == {OtherGates.OLDER}, "until it has been silent"
        assert await tick(gate, node) == set()
    born.append((await gate.maps.partitions())[0].born_ms)
    assert len(set(born)) == 1, "else the store would seem to have been emptied"
    await gate.session.close()


async def test_a_signature_that_comes_again_in_a_bucket_that_was_taken_over_is_booked_once(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    """Its window is over, and the bucket of transactions takes entries still: the new one replaces it."""
    settings = settings_for(valkey, dedup_window_seconds=0.1, transaction_retention_seconds=3600)
    await leave_format_1(valkey, settings, window_ms=1)
    gate = await connected_gate(settings)
    [node] = valkey.nodes()
    with node:
        await take_over(gate, node)
    answers = await gate.flusher.flush([transaction("old-1"), transaction("new")])
    assert [answer.verdict for answer in answers] == [Verdict.ACCEPTED] * 2
    assert_balanced(await gate.maps.sizes(), count_entries(valkey))
    await gate.session.close()


async def test_settings_that_older_gates_have_stored_are_followed_and_taken_over(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(valkey, **LONG_WINDOW)
    await leave_format_1(valkey, settings)
    [node] = valkey.nodes()
    with node:
        node.set(f"{PREFIX}:settings", b'{"changed": "by an older gate"}', ex=600)
        gate = await connected_gate(settings)
        followed = [gate.maps.stored_settings]
        await take_over(gate, node)
    assert followed == [gate.maps.stored_settings] == [b'{"changed": "by an older gate"}']
    await gate.session.close()


async def test_beside_an_older_gate_that_has_stored_nothing_yet_a_newer_one_keeps_to_its_format(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    [node] = valkey.nodes()
    with node:
        node.set(f"{PREFIX}:probe", 1, px=60_000)
        gate = await connected_gate(settings_for(valkey, **LONG_WINDOW))
        await gate.flusher.flush([transaction("first")])
        assert node.type(MARK) == b"hash"
    await gate.session.close()


async def test_what_the_older_format_has_no_room_for_is_answered_so_and_the_store_is_not_down(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(valkey, **LONG_WINDOW)
    await leave_format_1(valkey, settings)
    gate = await connected_gate(settings)
    step = CleanupStep(MapName.TRANSACTIONS, Severity.NORMAL, Reason.MANUAL, 8, dry_run=False, periodic=False)
    for call in (
        gate.accepted.find("oldest"),
        gate.maps.cleanup_step(PREFIX, step),
        gate.maps.replace_settings(None, b"{}"),
    ):
        with pytest.raises(StoreInOlderFormat):
            await call
    assert gate.session.is_up
    await gate.session.close()


async def test_a_newer_gate_beside_this_one_is_noticed(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, **LONG_WINDOW))
    [node] = valkey.nodes()
    with node:
        assert 0 < node.pttl(AT_WORK) <= 3000, "by which a newer gate knows of this one"
        node.set(NEWER_AT_WORK, 1, px=60_000)
    await gate.maps.sizes()
    assert gate.maps.other_gates == {OtherGates.NEWER}
    await gate.session.close()


async def test_an_older_gate_is_refused_and_noticed(store: StoreServer, settings_for: MakeSettings) -> None:
    gate = await connected_gate(settings_for(store, **LONG_WINDOW))
    await gate.flusher.flush([transaction("new")])
    noticed = [*gate.maps.other_gates]
    prefix = gate.maps.layout.prefixes[0]
    with store.client() as client:
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            client.eval(OLD_GATE, 1, prefix)
        assert b"format 2" in client.get(f"{prefix}:transactions:ledger")
        client.set(f"{prefix}:probe", 1, px=60_000)  # its tick writes this before it is refused
    await gate.maps.sizes()
    noticed += gate.maps.other_gates
    assert noticed == [OtherGates.REFUSED]
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
