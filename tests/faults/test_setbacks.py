"""A store that loses what was acknowledged is told: counted, logged with how much, warned of."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence

import pytest
from structlog.testing import capture_logs

from app.settings.model import Settings
from tests.support.api_calls import Api, events, open_api, until
from tests.support.replicas import replicated
from tests.support.servers import StoreServer, cluster_server, redis_server, valkey_server
from tests.support.setbacks import LONG, counted, imbalance, lost, told, totals

pytestmark = pytest.mark.server

EVENT = "store lost acknowledged data"
START = pytest.mark.parametrize("start", [valkey_server, redis_server], ids=["valkey", "redis"])
NO_TICKS = pytest.mark.usefixtures("no_ticks")
Start = Callable[[], StoreServer]


@START
@NO_TICKS
async def test_a_store_that_is_flushed_has_lost_all_that_it_kept(start: Start) -> None:
    with start() as server, capture_logs() as logs:
        async with open_api(Settings(store_url=server.url, **LONG)) as api:
            await api.post_many("kept", 30)
            await api.post_many("kept", 30, "another")
            assert await told(api) == []
            await api.post_many("since-the-last-reading", 5)
            server.flush()
            await api.post_many("after", 2)
            [warning] = await told(api)
            assert warning.startswith(
                "The store was emptied (less than a minute ago). Gone is what had been acknowledged, as far "
                "as is known 35 signatures, 35 transactions, 65 observations."
            )
            assert counted(api) == {"emptied": 1}
            assert lost(api) == [35, 35, 65]
            assert (await api.stats())["maps"]["transactions"]["added_total"] == 2
            assert totals(api)[:3] == [32, 32, 62], "what came between reading and loss is nobody's to know"
            assert imbalance(api) == [0, 0, 0]
    [line] = events(logs, EVENT)
    assert line == {
        "event": EVENT,
        "log_level": "error",
        "kind": "emptied",
        "partition": "tidegate:{0}",
        "lost_signatures": 35,
        "lost_transactions": 35,
        "lost_observations": 65,
    }


@START
async def test_a_store_that_is_flushed_under_posts_is_told_once_and_no_total_falls(start: Start) -> None:
    with start() as server:
        async with open_api(Settings(store_url=server.url, **LONG)) as api:
            posted, goes_on = 0, True

            async def post() -> None:
                nonlocal posted
                while goes_on:
                    await api.post_many(f"under-way-{posted}", 5)
                    posted += 5

            posting = asyncio.create_task(post())
            await until(lambda: _true(posted > 100))
            seen = [totals(api)]
            server.flush()
            while counted(api) == {}:
                seen.append(totals(api))
                await asyncio.sleep(0.01)
            after = posted
            await until(lambda: _true(posted > after + 100))
            goes_on = False
            await posting
            await told(api)
            seen.append(totals(api))
            assert counted(api) == {"emptied": 1}
            assert _never_fall(seen)
            assert 100 <= seen[-1][0] <= posted


@START
@NO_TICKS
async def test_a_restart_without_persistence_is_told(start: Start) -> None:
    with start() as server:
        async with open_api(Settings(store_url=server.url, **LONG)) as api:
            await api.post_many("kept", 30)
            await told(api)
            server.kill()
            server.start()
            await until(lambda: _true(api.runtime.session.is_up))
            assert len(await told(api)) == 1
            assert counted(api) == {"emptied": 1}
            assert lost(api) == [30, 30, 30]


@NO_TICKS
async def test_partitions_of_a_cluster_are_told_each_by_itself() -> None:
    with cluster_server() as server, capture_logs() as logs:
        async with open_api(Settings(store_url=server.url, **LONG)) as api:
            await api.post_many("kept", 300)
            await told(api)
            nodes = server.nodes()
            nodes[0].flushall()  # its slots are 0 to 5,460, with five of the 16 partitions
            for node in nodes:
                node.close()
            assert len(await told(api)) == 1
            assert counted(api) == {"emptied": 5}
            kept = (await api.stats())["maps"]["transactions"]["entries"]
            assert lost(api) == [300 - kept] * 3
    assert sum(line["lost_transactions"] for line in events(logs, EVENT)) == 300 - kept


@NO_TICKS
async def test_an_embedded_store_that_is_started_again_is_told() -> None:
    async with open_api(Settings(**LONG)) as api:
        await api.post_many("kept", 3)
        await told(api)
        embedded = api.runtime.embedded
        assert embedded is not None
        pid = embedded.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: _is_told(api))
        assert lost(api) == [3, 3, 3]


@START
@NO_TICKS
async def test_a_failover_to_a_replica_that_lagged_has_lost_what_it_lacks(start: Start) -> None:
    async with replicated(start) as store, open_api(Settings(store_url=store.url, **LONG)) as api:
        await api.post_many("replicated", 30)
        store.sync()
        store.stop_replication()
        await api.post_many("acknowledged", 20)
        assert await told(api) == []
        before = totals(api)
        store.fail_over()
        [warning] = await told(api)
        assert warning.startswith(
            "The store was set back to an earlier state (less than a minute ago). Gone is what had been "
            "acknowledged, as far as is known 20 signatures, 20 transactions, 20 observations."
        )
        assert counted(api) == {"set_back": 1}
        assert lost(api) == [20, 20, 20]
        assert totals(api) == before, "the ledger's counts went back, and these did not"
        assert (await api.post_many("acknowledged", 20))["accepted"] == 20
        await api.stats()
        assert totals(api) == [count + 20 if place < 3 else count for place, count in enumerate(before)]
        assert counted(api) == {"set_back": 1}
        assert imbalance(api) == [0, 0, 0]


@START
@NO_TICKS
async def test_a_failover_is_told_though_more_came_in_before_the_next_reading_than_was_lost(
    start: Start,
) -> None:
    async with replicated(start) as store, open_api(Settings(store_url=store.url, **LONG)) as api:
        await api.post_many("replicated", 30)
        await told(api)
        store.sync()
        store.stop_replication()
        await api.post_many("acknowledged", 20)
        store.fail_over()
        await api.post_many("after", 100)
        assert len(await told(api)) == 1
        assert counted(api) == {"set_back": 1}
        assert lost(api) == [20, 20, 20]


@NO_TICKS
async def test_each_of_several_gates_sees_a_failover_once_and_one_started_after_it_does_not() -> None:
    async with replicated(valkey_server) as store:
        settings = Settings(store_url=store.url, **LONG)
        async with open_api(settings) as one, open_api(settings) as other:
            await one.post_many("replicated", 30)
            store.sync()
            store.stop_replication()
            await one.post_many("acknowledged", 20)
            for api in (one, other):
                assert await told(api) == []
            store.fail_over()
            async with open_api(settings) as later:
                await later.post_many("after", 1)
                for api in (one, other):
                    assert len(await told(api)) == 1
                    assert len(await told(api)) == 1
                    assert (counted(api), lost(api)[0]) == ({"set_back": 1}, 19)
                assert (await told(later), counted(later), totals(later)[:3]) == ([], {}, [1, 1, 1])


def _never_fall(seen: Sequence[Sequence[float]]) -> bool:
    return all(list(series) == sorted(series) for series in zip(*seen, strict=True))


async def _is_told(api: Api) -> bool:
    return await told(api) != []


async def _true(holds: bool) -> bool:
    return holds
