"""Reading what was accepted, in order, from positions on."""

import asyncio

import pytest
import redis

from app.errors import StoreError
from app.models import ACCEPTED, REFUSED
from app.settings.model import Settings
from app.store.blocks import parse_block
from app.store.maps import Deliveries
from app.store.partitions import signature_hash
from app.store.positions import Positions
from tests.conftest import MakeSettings
from tests.support.deliver import Gate, block_of, connected_gate, transaction
from tests.support.handed import MEBIBYTE, deliver, read_all, signatures_of
from tests.support.ledger import read_ledger, store_key, write_ledger
from tests.support.servers import StoreServer, valkey_server
from tests.support.store_clock import StoreClock, let_clocks_be_set

PREFIX = "tidegate:{0}"
LONG_WINDOW = {"dedup_window_seconds": 60}
MANY_BUCKETS = {"transactions_limit": 64, "observations_limit": 64} | LONG_WINDOW
"""With these a bucket takes one block, and the oldest leaves when there are 64 transactions."""
NAMES = [f"name-{number}" for number in range(25)]


async def _claim(gate: Gate, names: str) -> tuple[int, ...]:
    """Claim a block of transactions named by letters, whatever the gate knows of them; the codes."""
    hashes, block = [signature_hash(name) for name in names], block_of([transaction(name) for name in names])
    deliveries = Deliveries(hashes, ["feed"] * len(names))
    return (await gate.maps.claim(gate.maps.layout.prefixes[0], deliveries, block, len(names))).codes


def _block_keys(node: redis.Redis) -> list[bytes]:
    """The keys that have blocks, oldest first."""
    return sorted(node.scan_iter(match=store_key("tidegate:*", "blocks", "*")))


async def test_everything_accepted_is_read_once_and_in_order(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(store, **LONG_WINDOW))
    start = await gate.accepted.find("now")
    await gate.flusher.flush([transaction(name) for name in NAMES])
    await deliver(gate, NAMES)  # duplicates: nothing to read
    for begin in (start, await gate.accepted.find("oldest"), await gate.accepted.find(0)):
        read, end, missed = await read_all(gate, begin)
        assert sorted(read) == sorted(NAMES)
        assert missed == 0
        assert len(begin.ordinals) == gate.accepted.partitions
    await deliver(gate, ["more"])
    assert await read_all(gate, end) == (["more"], await gate.accepted.find("now"), 0)
    await gate.session.close()


@pytest.mark.parametrize("limit", [1, 3, 1000])
@pytest.mark.parametrize("most_bytes", [1, 100, MEBIBYTE])
async def test_any_piece_by_piece_reading_gives_the_whole(
    valkey: StoreServer, settings_for: MakeSettings, limit: int, most_bytes: int
) -> None:
    gate = await connected_gate(settings_for(valkey, **MANY_BUCKETS))
    for at in range(0, 25, 5):
        await gate.flusher.flush([transaction(name) for name in NAMES[at : at + 5]])
    read, _, missed = await read_all(gate, await gate.accepted.find("oldest"), limit, most_bytes)
    assert (read, missed) == (NAMES, 0)
    await gate.session.close()


async def test_a_reading_stops_at_its_limit_of_bytes_but_has_one_block(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, **LONG_WINDOW))
    for number in range(10):
        await gate.flusher.flush([transaction(f"name-{number}", payload="x" * 1000)])
    start = await gate.accepted.find("oldest")
    for most_bytes, blocks in ((3500, 3), (10, 1)):
        [extract] = await gate.accepted.read(start, 1000, most_bytes)
        assert len(signatures_of(extract)) == blocks
    await gate.session.close()


async def test_a_reading_of_many_small_blocks_is_bounded(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, **LONG_WINDOW))
    await deliver(gate, (f"name-{number}" for number in range(140)))
    [extract] = await gate.accepted.read(await gate.accepted.find("oldest"), 10_000, MEBIBYTE)
    assert (extract.begin, extract.end, len(extract.blocks)) == (0, 128, 128)
    await gate.session.close()


@pytest.mark.parametrize("settings", [LONG_WINDOW, MANY_BUCKETS])
async def test_a_position_is_found_whatever_block_is_named_for_it(
    valkey: StoreServer, settings_for: MakeSettings, settings: dict[str, float]
) -> None:
    gate = await connected_gate(settings_for(valkey, **settings))
    for at in range(0, 25, 5):
        await gate.flusher.flush([transaction(name) for name in NAMES[at : at + 5]])
    [born] = (await gate.accepted.find("now")).born_ms
    with valkey.nodes()[0] as node:
        latest = read_ledger(node).blocks[-1][1]
    for ordinal in range(25):
        for hint in (-1, 0, *range(latest - 7, latest + 3), (latest + 2**31) % 2**32, 2**32 - 1):
            args: list[bytes | int] = [gate.maps.layout.rules, born, ordinal, 0, hint, 1, 1]
            answer = await gate.session.run("read_blocks", PREFIX, args)
            assert [*answer[2:5], answer[6]] == [ordinal, ordinal + 1, 25, 0]
            assert parse_block(answer[8]).ordinal == ordinal - ordinal % 5
    await gate.session.close()


async def test_numbers_of_blocks_that_begin_again_are_no_end(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, **MANY_BUCKETS))
    await deliver(gate, NAMES[:1])
    with valkey.nodes()[0] as node:
        ledger = read_ledger(node)
        ledger.set_latest_block(2**32 - 8)
        write_ledger(node, ledger)
        await deliver(gate, NAMES[1:])
        assert read_ledger(node).blocks[-1][1] == 16
        # Nobody looks at the first any more: it has its old number, and counts as left.
        start = Positions((await gate.accepted.find("now")).born_ms, (0,), (0,))
        for most_bytes in (1, MEBIBYTE):
            names, _, missed = await read_all(gate, start, most_bytes=most_bytes)
            assert (names, missed) == (NAMES[1:], 1)
        for ordinal in range(1, 25):
            fresh = await connected_gate(settings_for(valkey, **MANY_BUCKETS))
            names, _, missed = await read_all(fresh, start._replace(ordinals=(ordinal,)))
            assert (names, missed) == (NAMES[ordinal:], 0)
            await fresh.session.close()
    await gate.session.close()


async def test_of_a_block_that_another_gate_was_first_with_the_rest_is_read(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gates = [await connected_gate(settings_for(store, **LONG_WINDOW)) for _ in range(2)]
    assert await _claim(gates[0], "bd") == (ACCEPTED, ACCEPTED)
    codes = await _claim(gates[1], "abcdefghijk")
    assert [code == ACCEPTED for code in codes] == [name not in "bd" for name in "abcdefghijk"]
    await _claim(gates[0], "abcdefghijk")  # all are duplicates
    for limit in (1, 4, 100):
        names, _, missed = await read_all(gates[0], await gates[0].accepted.find("oldest"), limit)
        assert ("".join(names), missed) == ("bdacefghijk", 0)
    for gate in gates:
        await gate.session.close()


@pytest.mark.parametrize("count", [7, 8, 9, 16, 17])
async def test_only_the_last_of_a_block_is_accepted(
    valkey: StoreServer, settings_for: MakeSettings, count: int
) -> None:
    gate = await connected_gate(settings_for(valkey, **LONG_WINDOW))
    names = "abcdefghijklmnopq"[:count]
    await _claim(gate, names[:-1])
    assert (await _claim(gate, names))[-1] == ACCEPTED
    assert "".join((await read_all(gate, await gate.accepted.find("oldest")))[0]) == names
    await gate.session.close()


async def test_of_a_block_that_did_not_fit_what_was_accepted_is_read(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, signatures_limit=9, **LONG_WINDOW))
    codes = await _claim(gate, "abcdefghijk")
    assert codes == (ACCEPTED,) * 9 + (REFUSED,) * 2
    names, _, _ = await read_all(gate, await gate.accepted.find("oldest"))
    assert "".join(names) == "abcdefghi"
    await gate.session.close()


@pytest.mark.server
@pytest.mark.parametrize("is_in_next_bucket", [False, True])
async def test_what_a_claim_that_failed_half_way_has_left_is_read_by_nobody(
    monkeypatch: pytest.MonkeyPatch, is_in_next_bucket: bool
) -> None:
    let_clocks_be_set(monkeypatch)
    with valkey_server() as server, server.nodes()[0] as node:
        clock = StoreClock(server, (PREFIX,))
        node.acl_setuser("gate", enabled=True, passwords=["+pw"], commands=["+@all"], keys=["*"])
        url = server.url.replace("redis://", "redis://gate:pw@")
        settings = Settings(store_url=url, store_deadline_seconds=10, dedup_window_seconds=60)
        gate = await connected_gate(settings)
        start = await gate.accepted.find("now")
        assert await _claim(gate, "a") == (ACCEPTED,)
        kinds = ("ledger", "rules", "probe", "signatures:*", "transactions:*", "blocks:*")
        keys = [f"%RW~{store_key(PREFIX, kind)}" for kind in kinds] + [f"~{PREFIX}", "%R~*"]
        node.acl_setuser("gate", reset_keys=True, keys=keys)
        with pytest.raises(StoreError):
            await _claim(gate, "failed")
        assert sum(map(node.hlen, _block_keys(node))) == 3
        node.acl_setuser("gate", keys=["*"])
        await gate.session.probe(gate.maps.sizes)
        if is_in_next_bucket:
            clock.move(10)
        assert await _claim(gate, "bc") == (ACCEPTED, ACCEPTED)
        assert len(_block_keys(node)) == 1 + is_in_next_bucket
        for begin in (start, await gate.accepted.find("oldest")):
            names, _, missed = await read_all(gate, begin, 1)
            assert ("".join(names), missed) == ("abc", 0)
        await gate.session.close()
        clock.close()


async def test_positions_in_an_empty_store_hold_when_the_first_is_accepted(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(store, **LONG_WINDOW))
    store.flush()
    start = await gate.accepted.find("now")
    await asyncio.sleep(0.002)  # a ledger is known by its millisecond
    assert start == await gate.accepted.find("oldest")
    await deliver(gate, NAMES)
    names, _, missed = await read_all(gate, start)
    assert (sorted(names), missed) == (sorted(NAMES), 0)
    await gate.session.close()
