"""A slot is half moved, since its move was broken off: that is told, and nothing else is held up by it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.models import Mode, SampledTransaction, Trigger
from app.settings.model import Settings
from app.store import down_partitions
from app.store.lock import StoreLock
from app.store.partitions import key_slot, signature_hashes
from tests.support.api_calls import QUIET, Api, events, open_api, until
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.servers import StoreServer, cluster_server
from tests.support.slot_moves import break_off, fix, used_slots

pytestmark = pytest.mark.server

COUNT = 100
NAMES = [f"signature-{number}" for number in range(COUNT)]
LONG: dict[str, Any] = {
    "dedup_window_seconds": 60,
    "transaction_retention_seconds": 600,
    "emergency_transaction_retention_seconds": 600,
    "late_sample": 1,
}
# Buckets of 3 s, which an emergency cleanup cuts off after a second.
CUT: dict[str, Any] = {
    "dedup_window_seconds": 1,
    "transaction_retention_seconds": 72,
    "observation_retention_seconds": 72,
    "emergency_transaction_retention_seconds": 1,
    "emergency_observation_retention_seconds": 1,
}


@pytest.fixture(params=["valkey", "redis"])
def cluster(request: pytest.FixtureRequest) -> Iterator[StoreServer]:
    with cluster_server(kind=request.param) as server:
        yield server


@asynccontextmanager
async def _gate(server: StoreServer) -> AsyncIterator[Gate]:
    gate = await connected_gate(Settings(store_url=server.url, **LONG))
    await gate.flusher.flush([transaction(name) for name in NAMES])
    try:
        yield gate
    finally:
        await gate.session.close()


def _in_slot(gate: Gate, slot: int) -> list[bytes]:
    """The hashes of those that are in a partition of this slot."""
    digests = signature_hashes(NAMES)
    return [one for one in digests if key_slot(gate.maps.partition_of(one).encode()) == slot]


async def _warnings(api: Api) -> list[str]:
    answer = await api.http.get("/readyz")
    assert answer.status_code == 200, answer.text
    warnings: list[str] = answer.json()["warnings"]
    return warnings


async def test_it_is_told_until_it_is_repaired_and_logged_once(
    cluster: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(down_partitions, "ARRIVED_SECONDS", 4)
    with capture_logs() as logs:
        async with open_api(Settings(store_url=cluster.url, **LONG | QUIET)) as api:

            async def is_told() -> bool:
                return await _warnings(api) != []

            async def is_over() -> bool:
                return await _warnings(api) == []

            await api.post_many("signature", COUNT)
            slot = used_slots(cluster)[0]
            break_off(cluster, slot)
            await until(is_told)
            [warning] = await _warnings(api)
            assert warning.startswith(f"1 of the store's 16 partitions are down (slot_moving: {slot}): ")
            assert "redis-cli --cluster fix" in warning
            assert any(warning in text for text in (await api.stats())["warnings"])
            assert api.sample("store_partitions_down") == 1
            fix(cluster)
            await until(is_over)
            assert (await api.stats())["warnings"] == []
            assert api.sample("store_partitions_down") == 0
            assert (await api.post_many("signature", COUNT))["duplicate"] == COUNT
    [told] = events(logs, "store partly down")
    assert told["kind"] == "slot_moving"
    assert f"slot {slot}" in told["error"]
    assert len(events(logs, "store whole again")) == 1


async def test_a_cleanup_leaves_out_what_cannot_be_used_and_names_it(cluster: StoreServer) -> None:
    async with open_api(Settings(store_url=cluster.url, **CUT | QUIET)) as api:
        await api.post_many("signature", COUNT)
        slot = used_slots(cluster)[0]
        break_off(cluster, slot)
        prefixes = api.runtime.plane.maps.layout.prefixes
        [prefix] = [prefix for prefix in prefixes if key_slot(prefix.encode()) == slot]
        removed = 0

        async def clean() -> dict[str, str]:
            nonlocal removed
            report = await api.clean("/emergency", map="transactions")
            removed += report["maps"]["transactions"]["removed"]
            left_out: dict[str, str] = report["left_out"]
            return left_out

        async def others_are_clean() -> bool:
            assert await clean() == {prefix: "slot_moving"}
            return removed > 0

        async def all_is_clean() -> bool:
            return await clean() == {} and removed == COUNT

        await until(others_are_clean)
        assert removed < COUNT
        periodic = await api.runtime.cleanup.run(Trigger.PERIODIC, Mode.NORMAL)
        assert periodic.left_out == {prefix: "slot_moving"}
        assert api.runs("manual", "emergency", "failure") == api.runs("periodic", result="failure") == 0
        fix(cluster)
        await until(all_is_clean)


async def test_what_the_others_know_of_the_sample_is_told(cluster: StoreServer) -> None:
    async with _gate(cluster) as gate:
        slot = used_slots(cluster)[0]
        gone = set(_in_slot(gate, slot))
        samples, _ = gate.sources.fresh.take()
        assert {sample.digest for sample in samples} > gone > set()
        break_off(cluster, slot)
        others = {sample.digest for sample in samples} - gone
        assert {sample.digest for sample in await gate.queries.late(samples)} == others
        assert set(await gate.queries.deliverers([*gone, *others])) == others
        alone: list[SampledTransaction] = [sample for sample in samples if sample.digest in gone]
        gate.sources.fresh.add(alone)
        await gate.late.tick()
        assert await gate.queries.deliverers(gone) == {}


async def test_a_lock_is_taken_where_the_store_serves(cluster: StoreServer) -> None:
    """Else no gate would clean up a store that is full, for want of its first partition."""
    async with _gate(cluster) as gate:
        first = gate.maps.layout.prefixes[0]
        break_off(cluster, key_slot(first.encode()))
        locks = [StoreLock(gate.session, lambda: gate.maps.layout, name) for name in ("one", "one", "two")]
        assert [await lock.take(60) for lock in locks] == [True, False, True]
