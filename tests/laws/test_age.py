"""Law 4: nothing outlives its retention by more than a bucket, whatever else lives in the store."""

import asyncio
from collections.abc import Mapping

from app.models import MapName, MapSizes, Reason
from tests.conftest import MakeSettings
from tests.support.deliver import connected_gate, transaction
from tests.support.processes import wait_until
from tests.support.servers import StoreServer
from tests.support.truth import Truth, count_entries, count_fields

FOREIGN_KEYS, KEYS_A_CALL = 100_000, 1_000  # one call for all took a busy machine longer than a client waits
SHORT = {
    "dedup_window_seconds": 0.5,
    "transaction_retention_seconds": 1,
    "observation_retention_seconds": 1,
    "emergency_transaction_retention_seconds": 0.5,
    "emergency_observation_retention_seconds": 0.5,
}
OLDEST_SECONDS = {MapName.SIGNATURES: 0.6, MapName.TRANSACTIONS: 1.05}
FLUSH, SWEPT_BUCKETS = 20, 4


def _plant_foreign_keys(server: StoreServer) -> None:
    """Keys of somebody else with a long TTL, among which the store's own expiry would search for ours."""
    for node in server.nodes():
        with node:
            script = (
                "for i = ARGV[1], ARGV[1] + ARGV[2] - 1 do "
                "redis.call('SET', 'foreign:' .. KEYS[1] .. i, 'x', 'EX', 3600) end"
            )
            for first in range(0, FOREIGN_KEYS, KEYS_A_CALL):
                node.eval(script, 1, "{0}", first, KEYS_A_CALL)


async def test_entries_leave_while_traffic_goes_on_beside_many_foreign_keys(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    _plant_foreign_keys(valkey)
    gate = await connected_gate(settings_for(valkey, **SHORT))
    try:
        for number in range(150):
            await gate.flusher.flush([transaction(f"{number}-{item}") for item in range(FLUSH)])
            await asyncio.sleep(0.01)
            resident = count_signatures(valkey)
            sizes = await gate.maps.sizes()
            while late := _late(sizes):
                before, sizes = sizes, await gate.maps.sizes()
                for name in late & _late(sizes):
                    taken = sizes[name].removed[Reason.EXPIRED] - before[name].removed[Reason.EXPIRED]
                    assert taken >= SWEPT_BUCKETS * FLUSH, (name, sizes[name])
            assert resident >= sizes[MapName.SIGNATURES].entries
    finally:
        await gate.session.close()


def _late(sizes: Mapping[MapName, MapSizes]) -> set[MapName]:
    """The maps that have entries past their time; only after a stall, for a call takes four buckets out."""
    return {name for name, most in OLDEST_SECONDS.items() if (sizes[name].oldest_age_seconds or 0) > most}


def count_signatures(server: StoreServer) -> int:
    """Entries of the signature buckets the gate's list names, without SCAN among the foreign keys."""
    [node] = server.nodes()
    with node:
        return sum(
            count_fields(node, key)
            for key in node.scan_iter(match="tidegate:{0}:2:signatures:1*", count=100_000)
        )


async def test_without_any_gate_the_store_itself_lets_go(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(store, **SHORT))
    await gate.flusher.flush([transaction(f"left-{item}") for item in range(500)])
    await gate.session.close()
    assert count_entries(store) == Truth(500, 500, 500)
    assert wait_until(lambda: count_entries(store) == Truth(), 30)
    back = await connected_gate(settings_for(store, **SHORT))
    sizes = await back.maps.sizes()
    assert all(figures.entries == 0 and figures.added == 500 for figures in sizes.values())
    await back.session.close()
