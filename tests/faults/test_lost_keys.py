"""Keys that a store evicts, or somebody deletes, are told; what a gate removes itself is not."""

from collections.abc import Callable, Sequence
from secrets import token_hex

import pytest
import redis

from app.settings.model import Settings
from tests.conftest import MakeSettings
from tests.support.api_calls import Api, open_api, until
from tests.support.gate import gate_process
from tests.support.ledger import store_key
from tests.support.metric_families import SETBACKS, value
from tests.support.processes import wait_until
from tests.support.servers import StoreServer, redis_server, valkey_server
from tests.support.setbacks import LONG, counted, lost, told

pytestmark = pytest.mark.server

NO_TICKS = pytest.mark.usefixtures("no_ticks")
START = pytest.mark.parametrize("start", [valkey_server, redis_server], ids=["valkey", "redis"])
Start = Callable[[], StoreServer]


def _delete(node: redis.Redis, kind: str) -> None:
    [key] = node.scan_iter(match=store_key("tidegate:*", kind, "*"))
    node.delete(key)


@pytest.mark.parametrize(
    ("kind", "after", "gone"),
    [
        ("signatures", 0, [30, 0, 0]),
        ("signatures", 5, [30, 0, 0]),
        ("transactions", 0, [0, 30, 0]),
        ("transactions", 5, [0, 30, 0]),
        ("blocks", 0, [0, 30, 0]),
        ("observations", 0, [0, 0, 30]),
    ],
)
@NO_TICKS
async def test_a_key_that_is_gone_is_told(
    valkey: StoreServer, settings_for: MakeSettings, kind: str, after: int, gone: Sequence[int]
) -> None:
    """Also when its bucket goes on taking entries, so that the key comes back with them."""
    async with open_api(settings_for(valkey, **LONG)) as api:
        await api.post_many("kept", 30)
        await told(api)
        [node] = valkey.nodes()
        with node:
            _delete(node, kind)
        if after:
            await api.post_many("after", after)
        [warning] = await told(api)
        assert "has lost keys before they were due" in warning
        assert (counted(api), lost(api)) == ({"keys_gone": 1}, gone)
        await told(api)
        assert (counted(api), lost(api)) == ({"keys_gone": 1}, gone)


@NO_TICKS
async def test_the_key_of_an_older_bucket_is_found_within_eight_readings(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    """With a limit of 64 transactions a bucket takes one."""
    async with open_api(settings_for(valkey, transactions_limit=64, **LONG)) as api:
        for number in range(20):
            await api.post(f"one-{number}")
        await told(api)
        [node] = valkey.nodes()
        with node:
            names = sorted(node.scan_iter(match=store_key("tidegate:*", "transactions", "*")))
            assert len(names) == 20
            node.delete(names[2], names[11])
        for _ in range(4):
            await told(api)  # two readings
        assert (counted(api)["keys_gone"], lost(api)) == (2, [0, 2, 0])
        for _ in range(4):
            await told(api)  # two readings
        assert (counted(api)["keys_gone"], lost(api)) == (2, [0, 2, 0])


@START
async def test_a_store_that_evicts_is_told(start: Start) -> None:
    with start() as server:
        async with open_api(Settings(store_url=server.url, memory_sample_seconds=0.1, **LONG)) as api:
            [node] = server.nodes()
            with node:
                node.config_set("maxmemory-policy", "allkeys-lru")
                node.config_set("maxmemory", int(node.info("memory")["used_memory"]) + (2 << 20))
            rounds = 0
            while counted(api) == {} or not api.sample("store_evicted_keys_total"):
                rounds += 1
                assert rounds < 3000, "the store has evicted nothing of ours"
                items = [{"signature": f"{rounds}-{at}", "payload": token_hex(2000)} for at in range(20)]
                await api.http.post("/transactions", json=items)
            assert await told(api) != []


@NO_TICKS
async def test_what_a_gate_removes_itself_is_no_setback(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    """Emergency cleanups, room made at a limit, changed rules, and buckets that come due."""
    settings = settings_for(
        valkey, transactions_limit=64, observations_limit=64, **LONG | {"dedup_window_seconds": 0.5}
    )
    async with open_api(settings) as api:
        for number in range(10):
            await api.post_many(f"many-{number}", 20)
            await api.stats()
        await api.clean("/emergency")
        await api.post_many("more", 10)
        brief = {"transaction_retention_seconds": 1, "emergency_transaction_retention_seconds": 0.5}
        for change in ({"transactions_limit": 6}, brief):
            answer = await api.http.patch("/settings", json=change)
            assert answer.status_code == 200, answer.text
            await api.stats()
        await until(lambda: _is_empty(api, "transactions"))
        assert await told(api) == []
        assert (counted(api), lost(api)) == ({}, [0, 0, 0])


@pytest.mark.slow
def test_a_gate_with_workers_counts_a_setback_once(valkey: StoreServer) -> None:
    with gate_process(workers=2, store_url=valkey.url, **LONG) as gate, gate.client() as client:

        def figure(name: str, **labels: str) -> float | None:
            return value(client.get("/metrics").text, name, **labels)

        for number in range(20):
            client.post("/transactions", json=[{"signature": f"{number}-{at}"} for at in range(5)])
        assert wait_until(lambda: figure("map_entries", map="transactions") == 100, 30)
        valkey.flush()
        for number in range(20):
            client.post("/transactions", json=[{"signature": f"after-{number}-{at}"} for at in range(5)])
        assert wait_until(lambda: figure("store_setbacks_total", kind="emptied") == 1, 30)
        before = figure("map_added_total", map="transactions")
        client.post("/transactions", json=[{"signature": f"last-{at}"} for at in range(5)])
        assert wait_until(lambda: figure("map_added_total", map="transactions") != before, 30)
        counts = {kind: figure("store_setbacks_total", kind=kind) for kind in SETBACKS}
        assert counts == dict.fromkeys(SETBACKS, 0) | {"emptied": 1}
        assert figure("store_lost_entries_total", map="transactions") == 100


async def _is_empty(api: Api, name: str) -> bool:
    return bool((await api.stats())["maps"][name]["entries"] == 0)
