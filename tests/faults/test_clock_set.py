"""A store whose clock is set drops early what it kept: counted, logged with how much, warned of."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.settings.model import Settings
from app.store.partitions import MOST_PARTITIONS, first_prefix, partition_prefixes
from tests.support.api_calls import QUIET, Api, events, open_api, until
from tests.support.replicas import replicated
from tests.support.servers import StoreServer, cluster_server, redis_server, valkey_server
from tests.support.setbacks import counted, imbalance, lost, told
from tests.support.store_clock import KEPT_SECONDS, StoreClock, let_clocks_be_set

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("no_ticks")]

EVENT = "store lost acknowledged data"
START = pytest.mark.parametrize("start", [valkey_server, redis_server], ids=["valkey", "redis"])
WINDOW_SECONDS, RETENTION_SECONDS, HOUR_SECONDS = 60, 120, 3600
ACKNOWLEDGED = 992
ClockOf = Callable[[StoreServer], StoreClock]


@pytest.fixture
def clock_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[ClockOf]:
    """Gives the clock of a store, two hours ahead; to be asked for before the gate is started."""
    let_clocks_be_set(monkeypatch)
    opened: list[StoreClock] = []

    def clock(server: StoreServer) -> StoreClock:
        prefixes = partition_prefixes("tidegate", MOST_PARTITIONS if server.clustered else 1)
        opened.append(StoreClock(server, prefixes, 2 * HOUR_SECONDS))
        return opened[-1]

    yield clock
    for one in opened:
        one.close()


def _settings(url: str) -> Settings:
    values: dict[str, Any] = {"dedup_window_seconds": WINDOW_SECONDS, "store_deadline_seconds": 10, **QUIET}
    return Settings(store_url=url, **values)


async def _is_told(api: Api) -> bool:
    return await told(api) != []


@START
async def test_a_clock_set_back_beyond_a_window_is_told_with_what_left(
    start: Callable[[], StoreServer], clock_of: ClockOf
) -> None:
    with start() as server, capture_logs() as logs:
        clock = clock_of(server)
        async with open_api(_settings(server.url)) as api:
            await api.post_many("acknowledged", ACKNOWLEDGED)
            assert await told(api) == []
            clock.move(-HOUR_SECONDS)
            await until(lambda: _is_told(api))
            [warning] = await told(api)
            assert warning.startswith(
                "The store has a clock that was set back by more than a window (less than a minute ago). "
                "Gone is what had been acknowledged, as far as is known 992 signatures, 992 transactions, "
            )
            assert counted(api) == {"clock_back": 1}
            assert lost(api) == [ACKNOWLEDGED] * 3
            assert (await api.post_many("acknowledged", ACKNOWLEDGED))["accepted"] == ACKNOWLEDGED
            assert len(await told(api)) == 1
            assert (counted(api), imbalance(api)) == ({"clock_back": 1}, [0, 0, 0])
    [line] = events(logs, EVENT)
    assert (line["kind"], line["lost_transactions"]) == ("clock_back", ACKNOWLEDGED)
    assert -HOUR_SECONDS <= line["clock_moved_seconds"] < -HOUR_SECONDS + WINDOW_SECONDS


async def test_what_leaves_by_four_buckets_at_a_time_is_told_once(clock_of: ClockOf) -> None:
    """Also when claims drop it before the tick looks."""
    with valkey_server() as server, capture_logs() as logs:
        clock = clock_of(server)
        async with open_api(_settings(server.url)) as api:
            for number in range(10):
                await api.post_many(f"bucket-{number}", 10)
                clock.move(6)  # a bucket of transactions takes them for 5 s
                assert await told(api) == []
            clock.move(-HOUR_SECONDS)
            await api.post_many("after", 1)
            await until(lambda: _is_told(api))
            assert (counted(api), lost(api)) == ({"clock_back": 1}, [100, 100, 100])
            await told(api)
            assert counted(api) == {"clock_back": 1}
    assert len(events(logs, EVENT)) == 1


async def test_a_clock_set_back_by_less_than_a_window_has_cost_nothing(clock_of: ClockOf) -> None:
    with valkey_server() as server:
        clock = clock_of(server)
        async with open_api(_settings(server.url)) as api:
            await api.post_many("kept", 30)
            await told(api)
            clock.move(-WINDOW_SECONDS // 2)
            assert (await api.post_many("kept", 30))["duplicate"] == 30
            assert await told(api) == []
            assert counted(api) == {}


async def test_a_clock_set_ahead_beyond_a_retention_is_told_with_what_left(clock_of: ClockOf) -> None:
    with valkey_server() as server:
        clock = clock_of(server)
        async with open_api(_settings(server.url)) as api:
            await api.post_many("acknowledged", 30)
            assert await told(api) == []
            clock.move(HOUR_SECONDS)
            await until(lambda: _is_told(api))
            [warning] = await told(api)
            assert warning.startswith("The store has a clock that was set ahead (less than a minute ago).")
            assert (counted(api), lost(api)) == ({"clock_ahead": 1}, [30, 30, 30])


async def test_what_leaves_in_time_after_the_clock_was_set_is_not_lost(clock_of: ClockOf) -> None:
    with valkey_server() as server:
        clock = clock_of(server)
        async with open_api(_settings(server.url)) as api:
            clock.move(HOUR_SECONDS)
            await told(api)
            await api.post_many("later", 30)
            for _ in range(4):
                assert await told(api) == []
            assert counted(api) == {}


@pytest.mark.parametrize(
    ("moved_seconds", "kind"), [(-HOUR_SECONDS, "clock_back"), (HOUR_SECONDS, "clock_ahead")]
)
async def test_a_failover_to_a_server_with_another_clock_is_told_with_what_left(
    monkeypatch: pytest.MonkeyPatch, moved_seconds: int, kind: str
) -> None:
    async with _failed_over(monkeypatch, moved_seconds) as api:
        await until(lambda: _is_told(api))
        assert (counted(api), lost(api)) == ({kind: 1}, [30, 30, 30])
        assert (await api.post_many("acknowledged", 30))["accepted"] == 30


@pytest.mark.parametrize("moved_seconds", [-WINDOW_SECONDS // 2, WINDOW_SECONDS // 2])
async def test_a_failover_to_a_clock_that_differs_by_less_than_a_window_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, moved_seconds: int
) -> None:
    async with _failed_over(monkeypatch, moved_seconds) as api:
        assert (await api.post_many("acknowledged", 30))["duplicate"] == 30
        assert await told(api) == []
        assert counted(api) == {}


@asynccontextmanager
async def _failed_over(monkeypatch: pytest.MonkeyPatch, moved_seconds: int) -> AsyncIterator[Api]:
    """A gate with 30 transactions whose store's replica took over, with a clock that differs by so much."""
    let_clocks_be_set(monkeypatch)
    offset = f"{first_prefix('tidegate')}:offset"
    async with replicated(valkey_server) as store:
        store.master.set(offset, 2 * HOUR_SECONDS, ex=KEPT_SECONDS)
        async with open_api(_settings(store.url)) as api:
            await api.post_many("acknowledged", 30)
            assert await told(api) == []
            store.sync()
            store.stop_replication()
            store.replica.set(offset, 2 * HOUR_SECONDS + moved_seconds, ex=KEPT_SECONDS)
            store.fail_over()
            yield api


async def test_each_partition_of_a_cluster_tells_of_its_clock(clock_of: ClockOf) -> None:
    with cluster_server() as server:
        clock = clock_of(server)
        async with open_api(_settings(server.url)) as api:
            await api.post_many("acknowledged", 300)
            assert await told(api) == []
            clock.move(-HOUR_SECONDS)
            await until(lambda: _is_told(api))
            await told(api)
            partitions = len(api.runtime.plane.maps.layout.prefixes)
            assert (counted(api), lost(api)) == ({"clock_back": partitions}, [300, 300, 300])
