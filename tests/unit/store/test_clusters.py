"""Clusters of every shape, and slots that move from one node to another while they are used."""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator

import pytest

from app.errors import Overloaded, StoreTimeout
from app.settings.model import Settings
from app.store.cluster import Cluster
from app.store.partitions import signature_hash
from app.store.reconnecting_node import Node
from app.store.shared_connection import Link
from tests.support.cluster import fail_over
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.gate import running
from tests.support.processes import pause_all, resume_all, wait_until
from tests.support.servers import StoreServer, cluster_server

pytestmark = pytest.mark.server

KINDS = ("valkey", "redis")
# What a node says of itself: its address, nothing, and the name of a host it was not given.
ANNOUNCED: dict[str, tuple[str, ...]] = {
    "ip": (),
    "unknown endpoint": ("--cluster-preferred-endpoint-type", "unknown-endpoint"),
    "missing host name": ("--cluster-preferred-endpoint-type", "hostname"),
    "host name": (
        "--cluster-preferred-endpoint-type",
        "hostname",
        "--cluster-announce-hostname",
        "localhost",
    ),
}
SIGNATURES = [f"signature-{number}" for number in range(60)]
FAILOVERS = 4


def _settings(server: StoreServer) -> Settings:
    return Settings(store_url=server.url, store_deadline_seconds=5)


async def _assert_accepts(gate: Gate, *signatures: str) -> None:
    answers = await gate.flusher.flush([transaction(signature) for signature in signatures])
    assert {answer.verdict for answer in answers} == {"accepted"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("announced", "masters", "replicas"),
    [
        ("ip", 1, 0),
        ("ip", 1, 1),
        ("unknown endpoint", 1, 0),
        ("unknown endpoint", 3, 0),
        ("missing host name", 1, 1),
        ("host name", 3, 0),
    ],
)
async def test_a_cluster_of_any_shape_serves(kind: str, announced: str, masters: int, replicas: int) -> None:
    with cluster_server(
        kind=kind, masters=masters, replicas=replicas, options=ANNOUNCED[announced]
    ) as server:
        async with running(_settings(server)) as runtime:
            assert runtime.readiness.reasons() == []
            assert runtime.sizes.store is not None
            assert runtime.sizes.store.used_bytes > 0
            assert len(await runtime.session.info("memory")) == masters, "each master once, no replica"
        gate = await connected_gate(_settings(server))
        await _assert_accepts(gate, *SIGNATURES)
        for signature in SIGNATURES:
            assert await gate.maps.lookup(signature_hash(signature)) is not None
        await gate.session.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cluster_that_comes_up_later_is_taken(kind: str) -> None:
    with cluster_server(kind=kind, masters=1) as server:
        server.kill()
        async with running(_settings(server)) as runtime:
            assert "unreachable" in str(runtime.readiness.reasons())
            server.start()
            assert await asyncio.to_thread(wait_until, lambda: runtime.session.is_up, 10.0)
            await runtime.sample_memory()
            assert runtime.sizes.store is not None


@pytest.fixture(scope="module", params=KINDS)
def replicated(request: pytest.FixtureRequest) -> Iterator[StoreServer]:
    with cluster_server(kind=request.param, replicas=1) as server:
        yield server


async def test_graceful_failovers_cost_no_claim(replicated: StoreServer) -> None:
    """Each claim after one is answered by the old master with MOVED; none is sent to a node twice."""
    gate = await connected_gate(_settings(replicated))
    nodes = replicated.nodes()
    for number in range(FAILOVERS):
        await asyncio.to_thread(fail_over, [nodes[number % 3], nodes[3 + number % 3]])
        await _assert_accepts(gate, *(f"{signature}-{number}" for signature in SIGNATURES))
        assert gate.session.is_up
    assert len(await gate.session.info("memory")) == 3
    for node in nodes:
        node.close()
    await gate.session.close()


async def test_a_master_that_died_is_followed_by_its_replica(replicated: StoreServer) -> None:
    gate = await connected_gate(_settings(replicated))
    nodes = replicated.nodes()
    # The last: its replica was never elected. Redis 7.0 takes a node's election of seconds ago for its next
    # one, and makes it a master whose slots the others do not acknowledge.
    dead = max(at for at in range(6) if nodes[at].info("replication")["role"] == "master")
    replica = nodes[(dead + 3) % 6]
    replicated.processes[dead].kill()
    replicated.processes[dead].wait()
    assert wait_until(lambda: replica.info("replication")["role"] == "master", 60.0)
    alive = [node for at, node in enumerate(nodes) if at != dead]
    assert wait_until(lambda: all(n.cluster("info")["cluster_state"] == "ok" for n in alive), 60.0)
    await _assert_accepts(gate, *(f"{signature}-after" for signature in SIGNATURES))
    assert gate.session.is_up, "the call that found it dead went to the new master"
    for node in nodes:
        node.close()
    await gate.session.close()


async def _come_back(gate: Gate) -> None:
    """Probe as the gate's round does, until all of the store is up."""
    async with asyncio.timeout(60):
        while gate.session.down_partitions.reasons or not gate.session.is_up:
            await gate.session.probe(gate.maps.sizes)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_master_that_stops_answering_is_given_up_at_the_deadline_and_replaced(kind: str) -> None:
    """Its machine takes connections and says nothing more, and it is the one that the URL names."""
    with cluster_server(kind=kind, replicas=1) as server:
        gate = await connected_gate(_settings(server).model_copy(update={"store_deadline_seconds": 1}))
        nodes = server.nodes()
        frozen, replica = server.processes[:1], nodes[3]
        pause_all(frozen)
        try:
            answers = await gate.flusher.flush([transaction(signature) for signature in SIGNATURES])
            assert {type(error) for error in answers.errors.values()} == {StoreTimeout}
            assert gate.session.is_up
            assert gate.session.down_partitions.reasons
            assert await asyncio.to_thread(
                wait_until, lambda: replica.info("replication")["role"] == "master", 60.0
            )
            await _come_back(gate)
            await _assert_accepts(gate, *(f"{signature}-after" for signature in SIGNATURES))
        finally:
            resume_all(frozen)
        for node in nodes:
            node.close()
        await gate.session.close()


async def test_a_cluster_with_a_master_that_answers_again_loses_nothing_it_acknowledged() -> None:
    with cluster_server() as server:
        gate = await connected_gate(_settings(server).model_copy(update={"store_deadline_seconds": 1}))
        await _assert_accepts(gate, *SIGNATURES)
        pause_all(server.processes[1:2])
        items = [transaction(f"{signature}-meanwhile") for signature in SIGNATURES]
        assert (await gate.flusher.flush(items)).errors
        resume_all(server.processes[1:2])
        await _come_back(gate)
        for signature in SIGNATURES:
            assert await gate.maps.lookup(signature_hash(signature)) is not None
        await gate.session.close()


PROBES = 10


async def test_probes_while_a_master_does_not_answer_leave_nothing_behind() -> None:
    """Each opens connections to all masters, and gives up at the deadline."""
    with cluster_server() as server:
        gate = await connected_gate(_settings(server).model_copy(update={"store_deadline_seconds": 0.1}))
        pause_all(server.processes[1:2])
        for _ in range(PROBES):
            gate.session.down_reason = StoreTimeout("as the tests have it")
            await gate.session.close()  # as a probe does that fails
            await gate.session.probe(gate.maps.sizes)
        async with asyncio.timeout(60):
            while len(asyncio.all_tasks()) > 1:  # of the last one some calls may still be under way
                await asyncio.sleep(0.01)
        gc.collect()
        alive = Counter(type(found) for found in gc.get_objects() if isinstance(found, Cluster | Node | Link))
        # The one in use, and that of the error that says why partitions are down.
        assert alive <= Counter({Cluster: 2, Node: 6, Link: 6})
        resume_all(server.processes[1:2])
        await gate.session.close()


async def test_a_probe_for_which_too_many_calls_wait_ends_nothing_and_the_next_one_is_put_off() -> None:
    """One master is lost, and what the probe asks of the others has no turn."""
    with cluster_server() as server:
        gate = await connected_gate(_settings(server).model_copy(update={"store_deadline_seconds": 1}))
        server.processes[1].kill()
        server.processes[1].wait()
        await gate.flusher.flush([transaction(signature) for signature in SIGNATURES])
        assert gate.session.down_partitions.reasons
        assert gate.session.is_up

        async def waits() -> None:
            raise Overloaded("more calls wait for the store than it answers in time")

        await gate.session.probe(waits)
        assert gate.session.is_up
        assert not gate.session.is_probe_due
        await gate.session.close()
