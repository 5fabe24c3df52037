"""What readers miss: how large gaps are, and where reading goes on behind them."""

import pytest
import redis

from app.ingest.lookup import Lookup
from app.models import MapName, Reason
from app.store.blocks import parse_block
from app.store.cleanup_severity import CleanupStep, Severity
from app.store.positions import Positions
from tests.conftest import MakeSettings
from tests.support.deliver import connected_gate, transaction
from tests.support.handed import (
    IDLE_MS,
    MEBIBYTE,
    Reader,
    deliver,
    missed_in,
    names_in,
    read_all,
    signatures_of,
)
from tests.support.ledger import store_key
from tests.support.servers import StoreServer
from tests.support.store_clock import Clocks, StoreClock, let_clocks_be_set

PREFIX = "tidegate:{0}"
LONG_WINDOW = {"dedup_window_seconds": 60}
MANY_BUCKETS = {"transactions_limit": 64, "observations_limit": 64} | LONG_WINDOW
"""With these a bucket takes one block, and the oldest leaves when there are 64 transactions."""
NAMES = [f"name-{number}" for number in range(25)]
CLEANUP = CleanupStep(
    MapName.TRANSACTIONS, Severity.EMERGENCY, Reason.EMERGENCY, 8, dry_run=False, periodic=False
)


def _block_keys(node: redis.Redis) -> list[bytes]:
    """The keys that have blocks, oldest first."""
    return sorted(node.scan_iter(match=store_key("tidegate:*", "blocks", "*")))


async def test_blocks_of_format_1_are_looked_up_and_passed_over_by_readers(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, **LONG_WINDOW))
    start = await gate.accepted.find("now")
    await deliver(gate, NAMES[:10])
    with valkey.nodes()[0] as node:
        [key] = _block_keys(node)
        stored: dict[bytes, bytes] = node.hgetall(key)
        for number in sorted(filter(None, stored), key=int)[:7]:
            node.hset(key, number, parse_block(stored[number]).frame)
    assert (await gate.accepted.find("oldest")).ordinals == (7,)
    assert (await gate.accepted.find(0)).ordinals == (7,)
    names, _, missed = await read_all(gate, start)
    assert (names, missed) == (NAMES[7:10], 7)
    found = await Lookup(gate.maps).find(NAMES[2])
    assert found is not None
    assert found.signature == NAMES[2]
    await gate.session.close()


async def test_what_left_for_want_of_room_is_a_gap_of_the_exact_size(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(store, **LONG_WINDOW | {"transactions_limit": 60})
    gate = await connected_gate(settings)
    start = await gate.accepted.find("now")
    await deliver(gate, (f"name-{number}" for number in range(150)))
    sizes = await gate.maps.sizes()
    names, _, missed = await read_all(gate, start)
    assert len(names) == sizes[MapName.TRANSACTIONS].entries < 150
    assert missed == sizes[MapName.TRANSACTIONS].removed[Reason.CAPACITY] == 150 - len(names)
    assert await read_all(gate, await gate.accepted.find("oldest")) == (
        names,
        await gate.accepted.find("now"),
        0,
    )
    await gate.session.close()


@pytest.mark.parametrize(("seconds", "is_emergency"), [(61, False), (31, True)])
async def test_what_expired_or_left_in_an_emergency_is_a_gap_of_the_exact_size(
    store: StoreServer,
    settings_for: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
    seconds: int,
    is_emergency: bool,
) -> None:
    let_clocks_be_set(monkeypatch)
    retention = {"transaction_retention_seconds": 58, "emergency_transaction_retention_seconds": 28}
    gate = await connected_gate(settings_for(store, **retention))
    clock = StoreClock(store, gate.maps.layout.prefixes)
    start = await gate.accepted.find("now")
    await deliver(gate, NAMES[:12])
    clock.move(seconds)
    if is_emergency:
        for prefix in gate.maps.layout.prefixes:
            await gate.maps.cleanup_step(prefix, CLEANUP)
    await gate.maps.sizes()
    gone = await read_all(gate, start)
    assert gone == ([], await gate.accepted.find("now"), 12)
    await deliver(gate, NAMES[12:])
    names, _, missed = await read_all(gate, start)
    assert (sorted(names), missed) == (sorted(NAMES[12:]), 12)
    moment = clock.now_ms() - 1000 * seconds // 2
    assert await gate.accepted.find(moment) == await gate.accepted.find("oldest") == gone[1]
    await gate.session.close()
    clock.close()


async def test_a_key_that_somebody_deleted_is_a_gap_between_what_was_before_it_and_after_it(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, **MANY_BUCKETS))
    start = await gate.accepted.find("now")
    await deliver(gate, NAMES)
    with valkey.nodes()[0] as node:
        keys = _block_keys(node)
        node.delete(keys[3], keys[4], keys[12])
    names, _, missed = await read_all(gate, start)
    assert (names, missed) == ([*NAMES[:3], *NAMES[5:12], *NAMES[13:]], 3)
    for ordinal in range(25):
        fresh = await connected_gate(settings_for(valkey, **MANY_BUCKETS))
        names, _, missed = await read_all(fresh, start._replace(ordinals=(ordinal,), before_ms=(0,)))
        assert len(names) + missed == 25 - ordinal
        await fresh.session.close()
    await gate.session.close()


async def test_what_somebody_wrote_in_place_of_a_block_is_a_gap(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, **LONG_WINDOW))
    start = await gate.accepted.find("now")
    await deliver(gate, NAMES)
    with valkey.nodes()[0] as node:
        [key] = _block_keys(node)
        stored: dict[bytes, bytes] = node.hgetall(key)
        numbers = sorted(filter(None, stored), key=int)
        node.hset(key, numbers[5], b"junk")
        node.hset(key, numbers[9], stored[numbers[2]])
    names, _, missed = await read_all(gate, start)
    assert (names, missed) == ([*NAMES[:5], *NAMES[6:9], *NAMES[10:]], 2)
    await gate.session.close()


async def test_under_another_ledger_all_that_is_kept_is_read_and_nobody_knows_what_was_missed(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, **LONG_WINDOW))
    await deliver(gate, NAMES[:5])
    before = await gate.accepted.find("now")
    with valkey.nodes()[0] as node:
        node.delete(store_key(PREFIX, "ledger"))
    [extract] = await gate.accepted.read(before, 100, MEBIBYTE)
    assert (extract.begin, extract.end, extract.missed, extract.blocks) == (0, 0, None, [])
    assert extract.born_ms != before.born_ms[0]
    await deliver(gate, NAMES[5:9])
    [extract] = await gate.accepted.read(before, 100, MEBIBYTE)
    assert (signatures_of(extract), extract.missed) == (NAMES[5:9], None)
    after = await gate.accepted.find("oldest")
    assert after == Positions((extract.born_ms,), (0,), (0,))
    assert await read_all(gate, after) == (NAMES[5:9], await gate.accepted.find("now"), 0)
    await gate.session.close()


async def test_what_a_consumer_misses_is_counted_when_it_leaves_and_not_again_when_it_is_told(
    clocks: Clocks, store: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(store, dedup_window_seconds=60))
    clock, reader = clocks(store, gate), Reader(gate)
    await gate.flusher.flush([transaction(name) for name in NAMES[:9]])
    # What it holds may still be committed.
    untaken = 9 - len(names_in(await reader.lease(4, lease_ms=1_000_000)))
    clock.move(100)
    await gate.flusher.flush([transaction(name) for name in NAMES[9:]])
    assert [one.missed for one in await reader.consumers.figures()] == [0]
    clock.move(100)
    await gate.maps.sizes()
    assert [one.missed for one in await reader.consumers.figures()] == [untaken]
    leases = await reader.lease()
    assert sorted(names_in(leases)) == sorted(NAMES[9:])
    assert sum(each or 0 for each in missed_in(leases)) == untaken
    assert [one.missed for one in await reader.consumers.figures()] == [untaken]
    await gate.flusher.flush([transaction(f"late-{name}") for name in NAMES])
    clock.move(200)
    await gate.maps.sizes()
    assert [one.missed for one in await reader.consumers.figures()] == [untaken + len(NAMES)]
    await gate.session.close()


async def test_who_begins_at_a_moment_is_told_what_left_after_it_and_nothing_else(
    clocks: Clocks, store: StoreServer, settings_for: MakeSettings
) -> None:
    """How many left is only known of all together, and so from before the first was accepted."""
    retention = {"transaction_retention_seconds": 58, "emergency_transaction_retention_seconds": 28}
    gate = await connected_gate(settings_for(store, **retention))
    clock = clocks(store, gate)
    born = min((await gate.accepted.find("now")).born_ms)
    clock.move(10)
    begun = clock.now_ms()
    moments = []
    for names in (NAMES[:12], NAMES[12:]):
        clock.move(10)
        moments.append(clock.now_ms())
        await gate.flusher.flush([transaction(name) for name in names])
    first, second = moments
    clock.move(52)
    await gate.maps.sizes()
    expected = {
        born: (NAMES[12:], 12, False),
        begun: (NAMES[12:], 0, True),
        first: (NAMES[12:], 0, True),
        first + 5_000: (NAMES[12:], 0, False),
        second: (NAMES[12:], 0, False),
        second + 5_000: ([], 0, False),
    }
    for number, (moment, (names, count, has_left)) in enumerate(expected.items()):
        place = await gate.accepted.find(moment)
        read, _, missed = await read_all(gate, place)
        assert (sorted(read), missed, place.has_left) == (sorted(names), count, has_left)
        reader = Reader(gate, f"bot-{number}")
        leased = [await reader.lease(start=moment)]
        await reader.consumers.seek(reader.name, moment, IDLE_MS)
        leased.append(await reader.lease())
        for leases in leased:
            assert sorted(names_in(leases)) == sorted(names)
            assert (None in missed_in(leases)) == has_left
            assert sum(each or 0 for each in missed_in(leases)) == count
    figures = await reader.consumers.figures()
    assert {one.unknown_gaps for one in figures} == {0}, "the store lost nothing"
    clock.move(60)
    await gate.maps.sizes()
    for moment, has_left in ((second, True), (second + 5_000, False)):
        place = await gate.accepted.find(moment)
        assert (place.has_left, (await read_all(gate, place))[0]) == (has_left, [])
    await gate.session.close()
