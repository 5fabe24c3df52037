"""The bookkeeping of a partition is one value: what a claim costs, and what is lost with that value."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
import redis

from app.errors import StoreError
from app.models import ACCEPTED, MapName, Verdict
from app.settings.model import Settings
from app.store.maps import Deliveries
from app.store.partitions import signature_hash
from tests.conftest import MakeSettings
from tests.support.deliver import BLOCK, Gate, connected_gate, transaction
from tests.support.ledger import read_ledger, store_key
from tests.support.servers import StoreServer, valkey_server
from tests.support.truth import assert_balanced, count_entries, count_fields

LONG_WINDOW = {"dedup_window_seconds": 60}
PREFIX = "tidegate:{0}"
KINDS = ("signatures", "transactions", "blocks", "observations")


async def _claim(gate: Gate, signature: str, source: str = "helius-a") -> int:
    prefix, digest = gate.maps.layout.prefixes[0], signature_hash(signature)
    result = await gate.maps.claim(prefix, Deliveries([digest], [source]), BLOCK, 1)
    return result.codes[0]


def _calls(nodes: list[redis.Redis]) -> Counter[str]:
    """How often each command was called since the counts were set back, in scripts as well."""
    calls = Counter[str]()
    for node in nodes:
        stats: dict[str, dict[str, int]] = node.info("commandstats")
        calls.update({name.removeprefix("cmdstat_"): figures["calls"] for name, figures in stats.items()})
    for name in ("evalsha", "eval", "info", "config|resetstat"):
        del calls[name]
    return calls


async def test_a_claim_of_one_new_transaction_is_nine_commands_with_one_bucket_and_one_more_for_each_other(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    """With a window of 5 s there are five or six buckets of signatures, so 13 or 14."""
    gate = await connected_gate(settings_for(store, late_sample=0, **LONG_WINDOW))
    await _claim(gate, "first")
    nodes = store.nodes()
    for node in nodes:
        node.config_resetstat()
    await _claim(gate, "second")
    assert _calls(nodes) == {"time": 1, "get": 1, "hmget": 2, "hset": 4, "set": 1}
    for node in nodes:
        node.close()
    await gate.session.close()


async def test_what_all_have_noted_already_is_written_no_more(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, **LONG_WINDOW))
    await _claim(gate, "again")
    [node] = valkey.nodes()
    with node:
        node.config_resetstat()
        await _claim(gate, "again")
        assert _calls([node]) == {"time": 1, "get": 1, "hmget": 2}
    await gate.session.close()


@pytest.mark.parametrize("lost", KINDS)
async def test_a_key_that_is_lost_while_its_bucket_takes_entries_comes_back_with_an_expiry(
    valkey: StoreServer, settings_for: MakeSettings, lost: str
) -> None:
    gate = await connected_gate(settings_for(valkey, **LONG_WINDOW))
    await _claim(gate, "before")
    [node] = valkey.nodes()
    with node:
        [key] = node.scan_iter(match=store_key("tidegate:*", lost, "*"))
        node.delete(key)
        await _claim(gate, "after")
        assert count_fields(node, key) == 1
        assert int(node.pttl(key)) > 0
    await gate.session.close()


async def test_while_a_gate_ticks_the_ledger_does_not_expire_even_if_nothing_comes_in(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, **LONG_WINDOW))
    await _claim(gate, "last")
    [node] = valkey.nodes()
    with node:
        [key] = node.scan_iter(match=store_key("tidegate:*", "ledger"))
        node.pexpire(key, 60_000)
        await gate.maps.sizes()
        assert int(node.pttl(key)) > 7 * 24 * 3600 * 1000
    await gate.session.close()


async def test_a_claim_that_fails_while_it_writes_has_accepted_nothing() -> None:
    """Its user may read observations, and not write them: all that is read before succeeds."""
    with valkey_server() as server:
        [node] = server.nodes()
        with node:
            kinds = (
                "ledger",
                "rules",
                "probe",
                "bridge",
                "settings",
                "signatures:*",
                "transactions:*",
                "blocks:*",
            )
            ours = [f"%RW~{store_key(PREFIX, kind)}" for kind in kinds]
            of_format_1 = [f"~{PREFIX}{rest}" for rest in ("", ":*:ledger", ":probe", ":at-work:*")]
            keys = [*ours, f"%R~{store_key(PREFIX, 'observations:*')}", *of_format_1]
            node.acl_setuser("gate", enabled=True, passwords=["+pw"], commands=["+@all"], keys=keys)
            url = server.url.replace("redis://", "redis://gate:pw@")
            limited = await connected_gate(Settings(store_url=url, dedup_window_seconds=60))
            with pytest.raises(StoreError):
                await _claim(limited, "refused")
            assert [*node.scan_iter(match=store_key(PREFIX, "transactions", "*"))] != []
            assert [*node.scan_iter(match=store_key(PREFIX, "signatures", "*"))] == []
        await limited.session.close()
        gate = await connected_gate(Settings(store_url=server.url, dedup_window_seconds=60))
        [answer] = await gate.flusher.flush([transaction("refused")])
        assert answer.verdict is Verdict.ACCEPTED
        await gate.session.close()


def _delete(node: redis.Redis) -> None:
    node.delete(store_key(PREFIX, "ledger"))


def _put_junk(node: redis.Redis) -> None:
    node.set(store_key(PREFIX, "ledger"), b"junk", ex=60)


def _cut(node: redis.Redis) -> None:
    text: bytes = node.get(store_key(PREFIX, "ledger"))  # type: ignore[assignment]
    node.set(store_key(PREFIX, "ledger"), text[:-1], ex=60)


@pytest.mark.parametrize("harm", [_delete, _put_junk, _cut, redis.Redis.flushall])
async def test_a_ledger_that_is_lost_begins_anew_and_what_it_listed_expires(
    valkey: StoreServer, settings_for: MakeSettings, harm: Callable[[redis.Redis], object]
) -> None:
    gate = await connected_gate(settings_for(valkey, **LONG_WINDOW))
    await gate.flusher.flush([transaction(f"lost-{number}") for number in range(50)])
    [node] = valkey.nodes()
    with node:
        harm(node)
        orphans = [*node.scan_iter(match="tidegate:{0}:2:*:1*")]
        [answer] = await gate.flusher.flush([transaction("after")])
        assert answer.verdict is Verdict.ACCEPTED
        assert all(0 < int(node.pttl(key)) <= 130_000 for key in orphans)
        if orphans:
            node.delete(*orphans)
    sizes = await gate.maps.sizes()
    assert {figures.entries for figures in sizes.values()} == {1}
    assert_balanced(sizes, count_entries(valkey))
    await gate.session.close()


async def test_a_ledger_of_many_buckets_stays_small(valkey: StoreServer, settings_for: MakeSettings) -> None:
    """With a limit of 64 transactions a bucket takes one, so there are as many buckets as there can be."""
    limits = {"transactions_limit": 64, "observations_limit": 64}
    gate = await connected_gate(settings_for(valkey, **limits, **LONG_WINDOW))
    for number in range(300):
        await gate.flusher.flush([transaction(f"many-{number}")])
    [node] = valkey.nodes()
    with node:
        assert int(node.strlen(store_key(PREFIX, "ledger"))) < 8_000
        assert len(read_ledger(node).buckets[MapName.TRANSACTIONS]) == 64
    assert_balanced(await gate.maps.sizes(), count_entries(valkey))
    await gate.session.close()


async def test_a_gate_with_a_shorter_retention_removes_what_one_with_a_longer_one_has_brought(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    def retention(seconds: float) -> dict[str, float]:
        emergency = {f"emergency_{kind}_retention_seconds": 0.5 for kind in ("transaction", "observation")}
        return emergency | {
            "transaction_retention_seconds": seconds,
            "observation_retention_seconds": seconds,
        }

    longer = await connected_gate(settings_for(valkey, dedup_window_seconds=0.2, **retention(24)))
    shorter = await connected_gate(settings_for(valkey, dedup_window_seconds=0.2, **retention(1)))
    await _claim(longer, "one")
    async with asyncio.timeout(60):
        while (await shorter.maps.sizes())[MapName.TRANSACTIONS].entries:
            await asyncio.sleep(0.01)
    assert_balanced(await longer.maps.sizes(), count_entries(valkey))
    for gate in (longer, shorter):
        await gate.session.close()


async def test_a_map_emptied_for_want_of_room_takes_entries_again(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, transactions_limit=64, **LONG_WINDOW))
    await gate.flusher.flush([transaction(f"many-{number}") for number in range(10)])
    gate.live.replace(gate.live.settings.model_copy(update={"transactions_limit": 1}), 1)
    assert (await gate.maps.sizes())[MapName.TRANSACTIONS].entries == 0
    assert await _claim(gate, "after") == ACCEPTED
    assert_balanced(await gate.maps.sizes(), count_entries(valkey))
    await gate.session.close()
