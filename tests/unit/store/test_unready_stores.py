"""A store that takes no writes, or not by these commands, or not yet: the gate is not ready, and says why."""

import os
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from app.settings.model import Settings
from tests.support.api_calls import until
from tests.support.gate import gate_process, running, started
from tests.support.named_failures import assert_named
from tests.support.outages import OUTAGES, Begin, busy, too_many_clients
from tests.support.processes import wait_until
from tests.support.servers import StoreServer, cluster_server, redis_server, valkey_server

pytestmark = pytest.mark.server

PATIENCE_SECONDS = 60.0
KINDS = {"valkey": valkey_server, "redis": redis_server}


@pytest.fixture(scope="module", params=KINDS)
def store_server(request: pytest.FixtureRequest) -> Iterator[StoreServer]:
    with KINDS[request.param]() as server:
        yield server


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["EVALSHA", "PEXPIREAT", "HSET"])
async def test_a_command_that_was_renamed_is_named(kind: str, command: str) -> None:
    with KINDS[kind](options=("--rename-command", command, "")) as server:
        settings = Settings(store_url=server.url, store_deadline_seconds=3)
        with capture_logs() as logs:
            async with running(settings) as runtime:
                [reason] = runtime.readiness.reasons()
        assert reason.startswith("the store is down (no_command)")
        assert f"the command {command}," in reason
        [told] = [log for log in logs if log["event"] == "store down"]
        assert told["kind"] == "no_command"
        assert "args" not in told["error"]
        assert told["error"].isprintable()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_database_that_does_not_exist_is_named(kind: str) -> None:
    with KINDS[kind]() as server:
        async with running(Settings(store_url=server.url.replace("/0", "/99"))) as runtime:
            [reason] = runtime.readiness.reasons()
    assert reason.startswith("the store is down (no_database)")


async def test_a_database_of_a_cluster_is_named() -> None:
    with cluster_server(masters=1) as server:
        async with running(Settings(store_url=server.url.replace("/0", "/1"))) as runtime:
            [reason] = runtime.readiness.reasons()
    assert reason.startswith("the store is down (no_database)")


@pytest.mark.parametrize("outage", ["too few replicas", "failing saves"])
async def test_a_store_that_refuses_writes_is_not_ready_and_names_why(
    store_server: StoreServer, outage: str
) -> None:
    [kind] = OUTAGES[outage].kinds
    with gate_process(store_url=store_server.url) as gate:
        async with OUTAGES[outage].begin(store_server):
            assert wait_until(lambda: not gate.is_ready(), PATIENCE_SECONDS)
            assert_named(gate, kind, "the store refuses writes")
        assert wait_until(gate.is_ready, PATIENCE_SECONDS)


async def test_a_cluster_of_which_no_master_takes_writes_is_named_once_whatever_is_tried() -> None:
    with cluster_server(masters=1) as server, server.nodes()[0] as node:
        settings = Settings(store_url=server.url, store_deadline_seconds=3)
        async with running(settings) as runtime:
            assert runtime.readiness.reasons() == [], "it has partitions, each of which will be asked"
        node.config_set("min-replicas-to-write", 1)
        with capture_logs() as logs:
            async with running(settings) as runtime:
                refused = runtime.metrics.store_errors_total.labels("no_replicas")

                async def has_tried_again() -> bool:
                    return refused.value >= 5 * runtime.session.partitions

                await until(has_tried_again)
                [reason] = runtime.readiness.reasons()
                assert reason.startswith("the store is down (no_replicas)")
    told = [log for log in logs if log["event"] in ("store down", "store partly down")]
    master = server.url.split("/")[2]
    assert [(log["event"], log["master"]) for log in told] == [("store down", master)]


@pytest.mark.parametrize(
    ("begin", "kind", "sentence"),
    [(too_many_clients, "too_many_clients", "raise its maxclients"), (busy, "busy", "SCRIPT KILL")],
)
async def test_a_store_that_serves_others_is_named_and_taken_when_it_has_room(
    store_server: StoreServer, begin: Begin, kind: str, sentence: str
) -> None:
    with gate_process(store_url=store_server.url) as gate:
        async with begin(store_server):
            assert wait_until(lambda: not gate.is_ready(), PATIENCE_SECONDS)
            assert_named(gate, kind, sentence)
        assert wait_until(gate.is_ready, PATIENCE_SECONDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_loads_its_data_is_named_and_taken_when_it_has(kind: str) -> None:
    options = ("--key-load-delay", "50000", "--loading-process-events-interval-bytes", "1024")
    with KINDS[kind](options=options) as server:
        [node] = server.nodes()
        with node:
            for number in range(1000):
                node.set(f"foreign-{number}", os.urandom(1000))
            node.save()
        server.restart()  # which loads for 50 s, if nothing makes it go faster
        [node] = server.nodes()
        with started(store_url=server.url) as gate, node:
            assert_named(gate, "loading", "it serves when it has")
            node.config_set("key-load-delay", 0)
            assert wait_until(gate.is_ready, PATIENCE_SECONDS)
