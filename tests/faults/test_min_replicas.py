"""With TIDEGATE_STORE_MIN_REPLICAS nothing is acknowledged that too few replicas have."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.settings.model import Settings
from app.store.partitions import SLOTS, key_slot, signature_hash
from tests.support.api_calls import QUIET, Api, events, open_api, until
from tests.support.different_gates import difference
from tests.support.gate import gate_process
from tests.support.processes import kill_all, pause_all, resume_all, wait_until
from tests.support.replicas import ReplicatedStore, replicated
from tests.support.servers import StoreServer, cluster_server, redis_server, valkey_server

pytestmark = pytest.mark.server

START = pytest.mark.parametrize("start", [valkey_server, redis_server], ids=["valkey", "redis"])
NO_TICKS = pytest.mark.usefixtures("no_ticks")
NAMED = "urn:tidegate:problem:not-replicated"
PATIENCE_SECONDS = 60.0
MASTERS = 3
Start = Callable[[], StoreServer]


def _settings(url: str, replicas: int = 1, deadline_seconds: float = 4) -> Settings:
    """Settings with which nothing leaves by itself; replicas have a quarter of the deadline."""
    values: dict[str, Any] = {"store_deadline_seconds": deadline_seconds, "dedup_window_seconds": 60, **QUIET}
    return Settings(store_url=url, store_min_replicas=replicas, **values)


async def _send(api: Api, *signatures: str) -> httpx.Response:
    return await api.http.post("/transactions", json=[{"signature": one} for one in signatures])


def _counted(api: Api, kind: str = "not_replicated") -> float | None:
    return api.sample("store_errors_total", kind=kind)


async def _reasons(api: Api) -> list[str]:
    """Why the gate is not ready, by what it finds now."""
    await api.runtime.sizes.refresh()
    return api.runtime.readiness.reasons()


async def _waits(store: ReplicatedStore) -> bool:
    return bool(store.master.info("clients")["blocked_clients"])


@START
@NO_TICKS
async def test_an_answer_goes_out_when_the_replica_has_what_it_tells_of(start: Start) -> None:
    async with replicated(start) as store, open_api(_settings(store.url)) as api:
        for number in range(50):
            assert (await api.post_many(f"several-{number}", 3))["accepted"] == 3
            ledger = "tidegate:{0}:2:ledger"
            assert store.replica.get(ledger) == store.master.get(ledger)
        assert await _reasons(api) == []
        assert _counted(api) == 0


@START
@NO_TICKS
async def test_what_a_frozen_replica_lacks_is_stored_and_refused_until_it_has_it(start: Start) -> None:
    async with replicated(start) as store, open_api(_settings(store.url)) as api:
        store.replica_server.pause()
        refused = await _send(api, "a", "b")
        assert (refused.status_code, refused.json()["type"]) == (503, NAMED)
        assert refused.json()["detail"].startswith("it is stored, but too few replicas")
        assert int(refused.headers["Retry-After"]) >= 1
        assert _counted(api) == 1
        assert api.sample("transactions_total", outcome="failed") == 2
        assert api.sample("ingest_refusals_total", reason="not-replicated") == 1
        assert (await api.find("a"))["signature"] == "a", "it is stored"
        leased = await api.http.post("/consumers/reader/lease", params={"from": "oldest"})
        assert len(leased.json()["transactions"]) == 2, "consumers get it all the same"
        assert (await _send(api, "a")).json()["type"] == NAMED, "a duplicate of what the replica lacks"
        store.replica_server.resume()
        store.sync()
        assert (await _send(api, "a", "b")).json()["duplicate"] == 2


@START
async def test_a_gate_that_waits_for_fewer_replicas_than_those_before_it_is_named(start: Start) -> None:
    async with (
        replicated(start) as store,
        open_api(_settings(store.url).model_copy(update={"gate_name": "careful"})) as careful,
        open_api(_settings(store.url, replicas=0).model_copy(update={"gate_name": "hasty"})) as hasty,
    ):
        warning = await difference(hasty)
        assert warning is not None
        assert warning.startswith("This gate, hasty, was started with other settings than gates of its store")
        assert "TIDEGATE_STORE_MIN_REPLICAS=0 (1 there)" in warning
        assert "hold" not in warning, "each goes by its own"
        assert await difference(careful) is None
        differs = [api.sample("setting_differs", setting="store_min_replicas") for api in (careful, hasty)]
        assert differs == [0, 1]
        store.replica_server.pause()
        assert (await _send(hasty, "one")).status_code == 200
        assert (await _send(careful, "one")).json()["type"] == NAMED
        store.replica_server.resume()


@NO_TICKS
async def test_a_duplicate_of_what_another_gate_wrote_waits_for_the_replica_too() -> None:
    async with (
        replicated(valkey_server) as store,
        open_api(_settings(store.url)) as api,
        open_api(_settings(store.url, replicas=0)) as without,
    ):
        store.replica_server.pause()
        assert (await _send(without, "one")).status_code == 200, "a gate without the setting does not wait"
        assert (await _send(api, "one")).json()["type"] == NAMED
        store.replica_server.resume()
        store.sync()
        assert (await _send(api, "one")).json()["duplicate"] == 1


async def test_a_gate_whose_replica_is_gone_is_not_ready_and_says_so_once() -> None:
    async with replicated(valkey_server) as store:
        with capture_logs() as logs:
            async with open_api(_settings(store.url, deadline_seconds=2)) as api:
                store.stop_replication()
                await until(lambda: _true(api.runtime.readiness.reasons() != []))
                [reason] = api.runtime.readiness.reasons()
                assert reason.startswith("0 replicas follow the store in time, and TIDEGATE_STORE_MIN")
                assert (await _send(api, "one")).json()["type"] == NAMED
                assert api.runtime.session.is_up
                store.replicate()
                await until(lambda: _true(api.runtime.readiness.reasons() == []))
                assert (await _send(api, "one")).json()["duplicate"] == 1
        assert len(events(logs, "replicas missing")) == len(events(logs, "replicas back")) == 1


@NO_TICKS
async def test_a_replica_that_is_killed_while_it_is_waited_for_confirms_nothing() -> None:
    async with replicated(valkey_server) as store, open_api(_settings(store.url)) as api:
        store.replica_server.pause()
        posting = asyncio.create_task(_send(api, "one"))
        await until(lambda: _waits(store))
        store.replica_server.kill()
        assert (await posting).json()["type"] == NAMED
        store.replica_server.start()
        store.replicate()
        assert (await _send(api, "one")).json()["duplicate"] == 1


@START
@NO_TICKS
async def test_no_other_connection_confirms_what_one_that_broke_has_written(start: Start) -> None:
    async with replicated(start) as store, open_api(_settings(store.url, deadline_seconds=40)) as api:
        store.replica_server.pause()
        posting = asyncio.create_task(_send(api, "one"))
        await until(lambda: _waits(store))
        store.address.cut_all()
        answer = await posting
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:tidegate:problem:store-unavailable")
        assert _counted(api, "interrupted") == 1
        store.replica_server.resume()


@NO_TICKS
async def test_a_primary_that_is_made_a_replica_while_it_waits_is_named() -> None:
    async with replicated(valkey_server) as store, open_api(_settings(store.url, deadline_seconds=40)) as api:
        store.replica_server.pause()
        posting = asyncio.create_task(_send(api, "one"))
        await until(lambda: _waits(store))
        store.master.replicaof("127.0.0.1", "1")
        assert (await posting).json()["detail"].startswith("the store is a read-only replica")
        store.replica_server.resume()


@NO_TICKS
async def test_two_replicas_are_wanted_where_only_one_is() -> None:
    async with replicated(valkey_server) as store, open_api(_settings(store.url, 2, 1)) as api:
        [reason] = api.runtime.readiness.reasons()
        assert reason.startswith("1 replicas follow the store in time, and TIDEGATE_STORE_MIN_REPLICAS is 2")
        assert (await _send(api, "one")).json()["type"] == NAMED


@START
@NO_TICKS
async def test_without_the_setting_nothing_waits(start: Start) -> None:
    async with replicated(start) as store, open_api(_settings(store.url, replicas=0)) as api:
        store.replica_server.pause()
        assert (await _send(api, "one")).status_code == 200
        assert await _reasons(api) == []
        assert "cmdstat_wait" not in store.master.info("commandstats")
        store.replica_server.resume()


async def test_a_gate_that_may_not_wait_is_not_ready_and_names_the_command() -> None:
    async with replicated(valkey_server) as store:
        rights: dict[str, Any] = {"keys": ["*"], "commands": ["+@all", "-wait"]}
        store.master.acl_setuser("gate", enabled=True, passwords=["+pw"], **rights)
        url = store.url.replace("redis://", "redis://gate:pw@")
        async with open_api(_settings(url)) as api:
            [reason] = api.runtime.readiness.reasons()
    assert reason.startswith("the store is down (denied)")
    assert "the command WAIT;" in reason


@NO_TICKS
async def test_in_a_cluster_each_master_waits_for_its_own_replicas() -> None:
    of_first, of_others = list[str](), list[str]()
    with cluster_server(masters=MASTERS, replicas=1) as server:
        async with open_api(_settings(server.url)) as api:
            for name in (f"one-{number}" for number in range(100)):
                slot = key_slot(api.runtime.plane.maps.partition_of(signature_hash(name)).encode())
                (of_first if slot < SLOTS // MASTERS else of_others).append(name)
            assert (await _send(api, *of_first[:5], *of_others[:5])).json()["accepted"] == 10
            frozen = server.processes[MASTERS : MASTERS + 1]
            pause_all(frozen)
            assert (await _send(api, *of_others[5:10])).json()["accepted"] == 5
            assert (await _send(api, *of_first[5:10])).json()["type"] == NAMED
            mixed = (await _send(api, of_first[10], of_others[10])).json()
            assert (mixed["type"], mixed["accepted"], mixed["failed"]) == (NAMED, 1, 1)
            assert mixed["errors"][0]["index"] == 0
            assert await _reasons(api) == [], "the others serve on"
            [warning] = api.runtime.readiness.warnings()
            assert warning.startswith("0 replicas follow 1 of the store's 3 masters in time, and ")
            assert f"{warning}." in (await api.stats())["warnings"]
            pause_all(server.processes[MASTERS:])
            [reason] = await _reasons(api)
            assert reason.startswith("0 replicas follow the store in time, and ")
            assert api.runtime.readiness.warnings() == []
            resume_all(server.processes[MASTERS:])
            await until(lambda: _is_duplicate(api, of_first[5]))
            kill_all(server.processes[MASTERS + 1 : MASTERS + 2])
            assert (await _send(api, *of_first[11:15])).json()["accepted"] == 4


@pytest.mark.slow
@pytest.mark.long
async def test_workers_wait_as_well() -> None:
    async with replicated(valkey_server) as store:
        settings = {"store_min_replicas": 1, "store_deadline_seconds": 4, "dedup_window_seconds": 60}
        with gate_process(store_url=store.master_url, workers=2, **settings) as gate, gate.client() as client:

            def post() -> httpx.Response:
                return client.post("/transactions", json={"signature": "one", "payload": 1})

            store.replica_server.pause()
            assert post().json()["type"] == NAMED
            assert wait_until(lambda: not gate.is_ready(), PATIENCE_SECONDS)
            store.replica_server.resume()
            assert wait_until(lambda: post().status_code == 200, PATIENCE_SECONDS)
            assert post().json()["status"] == "duplicate"
            assert wait_until(gate.is_ready, PATIENCE_SECONDS)


async def _is_duplicate(api: Api, signature: str) -> bool:
    answer = await _send(api, signature)
    return answer.status_code == 200 and answer.json()["duplicate"] == 1


async def _true(holds: bool) -> bool:
    return holds
