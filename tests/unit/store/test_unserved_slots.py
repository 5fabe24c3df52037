"""A slot of a Cluster that no master serves for a moment, as while a failover is told from node to node."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis

from app.errors import StoreClusterDown
from app.settings.model import Settings
from tests.support.cluster import SLOTS
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.processes import wait_until
from tests.support.servers import StoreServer, cluster_server
from tests.support.slot_moves import Ends, ends_of, used_slots

pytestmark = pytest.mark.server

KINDS = ("valkey", "redis")
NAMES = [f"signature-{number}" for number in range(300)]
PATIENCE_SECONDS = 60.0


@pytest.fixture(params=KINDS)
def cluster(request: pytest.FixtureRequest) -> Iterator[StoreServer]:
    with cluster_server(kind=request.param, options=("--cluster-require-full-coverage", "no")) as server:
        yield server


def _settings(server: StoreServer, deadline_seconds: float) -> Settings:
    return Settings(store_url=server.url, store_deadline_seconds=deadline_seconds)


async def _verdicts(gate: Gate) -> list[str]:
    return [str(answer.verdict) for answer in await gate.flusher.flush([transaction(name) for name in NAMES])]


def _refused(ends: Ends) -> int:
    """How many calls the master of the slot has refused since nobody serves it."""
    return int(ends.old.info("errorstats").get("errorstat_CLUSTERDOWN", {}).get("count", 0))


def _maps_given(ends: Ends) -> int:
    """How often the nodes were asked which master has which slots."""
    figures = (node.info("commandstats") for node in ends.nodes)
    return sum(int(figure.get("cmdstat_cluster|slots", {}).get("calls", 0)) for figure in figures)


def _give_back(ends: Ends) -> None:
    """Let the master serve the slot again, and wait until the others have heard of it."""
    ends.old.cluster("addslots", ends.slot)
    assert wait_until(lambda: all(_assigned(node) == SLOTS for node in ends.nodes), PATIENCE_SECONDS)


def _assigned(node: redis.Redis) -> int:
    return int(node.cluster("info")["cluster_slots_assigned"])


async def _rises_by(more: int, count: Callable[[Ends], int], ends: Ends) -> None:
    least = count(ends) + more
    assert await asyncio.to_thread(wait_until, lambda: count(ends) >= least, PATIENCE_SECONDS)


@contextmanager
def _unserved(server: StoreServer, *, by_all: bool = False) -> Iterator[Ends]:
    """A used slot that its master does not serve any more; with `by_all`, as all nodes have it."""
    with ends_of(server, used_slots(server)[0]) as ends:
        for node in ends.nodes if by_all else [ends.old]:
            node.cluster("delslots", ends.slot)
        yield ends


async def test_a_claim_waits_while_the_master_of_its_slot_answers_that_nobody_serves_it(
    cluster: StoreServer,
) -> None:
    gate = await connected_gate(_settings(cluster, 30))
    with _unserved(cluster) as ends:
        flush = asyncio.create_task(_verdicts(gate))
        await _rises_by(3, _refused, ends)
        assert not flush.done()
        _give_back(ends)
        assert await flush == ["accepted"] * len(NAMES)
    assert gate.session.is_up
    assert not gate.session.down_partitions
    await gate.session.close()


async def test_a_gate_that_starts_waits_while_the_map_of_the_slots_leaves_one_out(
    cluster: StoreServer,
) -> None:
    gate = await connected_gate(_settings(cluster, 30))
    await gate.session.close()
    with _unserved(cluster, by_all=True) as ends:
        starting = asyncio.create_task(connected_gate(_settings(cluster, 30)))
        await _rises_by(4, _maps_given, ends)
        assert not starting.done()
        _give_back(ends)
        gate = await starting
    assert not gate.session.down_partitions
    assert await _verdicts(gate) == ["accepted"] * len(NAMES)
    await gate.session.close()


async def test_a_slot_that_stays_without_a_master_takes_only_its_own_partition_with_it(
    cluster: StoreServer,
) -> None:
    gate = await connected_gate(_settings(cluster, 3))  # which the other calls keep on a busy machine
    with _unserved(cluster) as ends:
        verdicts = await _verdicts(gate)
        assert set(verdicts) == {"accepted", "failed"}
        assert gate.session.is_up
        (reason,) = gate.session.down_partitions.reasons.values()
        assert isinstance(reason, StoreClusterDown)
        refused = _refused(ends)
        assert await _verdicts(gate) == ["duplicate" if was == "accepted" else "failed" for was in verdicts]
        assert _refused(ends) == refused, "a partition that is down is not asked by claims"
        _give_back(ends)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while gate.session.down_partitions:
            await gate.session.probe(gate.maps.sizes)
            await asyncio.sleep(0.05)
    assert set(await _verdicts(gate)) == {"accepted", "duplicate"}
    await gate.session.close()
