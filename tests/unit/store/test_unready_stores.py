"""A store that takes no writes, or not by these commands, or not yet: the gate is not ready, and says why."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from structlog.testing import capture_logs

from app.settings.model import Settings
from tests.support.gate import gate_process, has_port, running, started
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


@contextmanager
def _few_replicas(_server: StoreServer, node: redis.Redis) -> Iterator[None]:
    node.config_set("min-replicas-to-write", 1)
    yield
    node.config_set("min-replicas-to-write", 0)


@contextmanager
def _failing_saves(server: StoreServer, node: redis.Redis) -> Iterator[None]:
    """Have a save fail, after which writes are refused."""
    (server.folder / "dump.rdb").mkdir()  # in the way of the file
    node.config_set("save", "3600 1")
    node.bgsave()
    assert wait_until(lambda: node.info("persistence")["rdb_last_bgsave_status"] == "err", PATIENCE_SECONDS)
    yield
    node.config_set("save", "")


REFUSED_WRITES = {"no_replicas": _few_replicas, "cannot_save": _failing_saves}


@pytest.mark.parametrize("refusal", REFUSED_WRITES)
def test_a_store_that_refuses_writes_is_not_ready_and_names_why(
    store_server: StoreServer, refusal: str
) -> None:
    [node] = store_server.nodes()
    with gate_process(store_url=store_server.url) as gate, gate.client() as client, node:
        with REFUSED_WRITES[refusal](store_server, node):
            assert wait_until(lambda: not gate.is_ready(), PATIENCE_SECONDS)
            [reason] = client.get("/readyz").json()["reasons"]
            assert reason.startswith(f"the store is down ({refusal})")
            answer = client.post("/transactions", json={"signature": "one", "payload": 1})
            assert answer.status_code == 503
            assert answer.json()["detail"] in reason
        assert wait_until(gate.is_ready, PATIENCE_SECONDS)
        [told] = [event for event in gate.events() if event["event"] == "store down"]
        assert told["kind"] == refusal


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
            assert wait_until(lambda: has_port(gate), PATIENCE_SECONDS)
            with gate.client() as client:
                [reason] = client.get("/readyz").json()["reasons"]
            assert reason.startswith("the store is down (loading)")
            node.config_set("key-load-delay", 0)
            assert wait_until(gate.is_ready, PATIENCE_SECONDS)
