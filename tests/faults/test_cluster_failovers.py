"""A master of a Cluster dies under load, with a replica or without: what each is told is true."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from app.store.partitions import (
    SLOTS,
    key_slot,
    ledger_key,
    partition_of,
    partition_prefixes,
    partitions_for,
    signature_hash,
)
from tests.support.acknowledged import (
    acknowledged,
    assert_counted,
    assert_honest,
    assert_latest,
    lost_of,
)
from tests.support.gate import GateProcess, gate_process
from tests.support.processes import kill_all, pause_all, resume_all, start_all, wait_until
from tests.support.servers import StoreServer, cluster_server
from tests.support.steady_load import Post, Steady
from tests.support.worker_gates import figure

pytestmark = [pytest.mark.server, pytest.mark.slow]

POSTS_A_SECOND = 100
PATIENCE_SECONDS = 120.0
SERVED = 100  # posts in a row that are accepted before something is broken, and afterwards
KEEPING: dict[str, object] = {
    "store_deadline_seconds": 1,
    "dedup_window_seconds": 600,
    "transaction_retention_seconds": 3600,
    "emergency_transaction_retention_seconds": 3600,
}
log = logging.getLogger(__name__)  # `--log-cli-level=info` shows the figures


async def _until(condition: Callable[[], bool]) -> None:
    assert await asyncio.to_thread(wait_until, condition, PATIENCE_SECONDS, 0.02)


async def _serves(load: Steady) -> None:
    """Wait until all posts are accepted that were answered last."""

    def is_served() -> bool:
        latest = [post for post in list(load.posts)[-2 * SERVED :] if post.answered < float("inf")][-SERVED:]
        return len(latest) == SERVED and all(post.status == 200 for post in latest)

    await _until(is_served)


def _prefixes_of(master: int, masters: int) -> list[str]:
    """The partitions of a master; the slots are shared out evenly."""
    first, end = SLOTS * master // masters, SLOTS * (master + 1) // masters
    prefixes = partition_prefixes("tidegate", partitions_for(masters))
    return [prefix for prefix in prefixes if first <= key_slot(prefix.encode()) < end]


def _is_of(master: int, masters: int) -> Callable[[Post], bool]:
    """Tell which posts go to the partitions of a master."""
    prefixes, own = partition_prefixes("tidegate", partitions_for(masters)), _prefixes_of(master, masters)
    return lambda post: prefixes[partition_of(signature_hash(post.signature), len(prefixes))] in own


@contextmanager
def _cluster(kind: str, masters: int, full_coverage: str = "no") -> Iterator[StoreServer]:
    options = ("--cluster-require-full-coverage", full_coverage)
    with cluster_server(kind=kind, masters=masters, replicas=1, options=options) as server:
        yield server


def _assert_even_shares(server: StoreServer, masters: int) -> None:
    """Each master has between 0.8 and 1.25 of an even share of the partitions, each with its ledger."""
    for master, node in enumerate(server.nodes()):
        with node:
            own = _prefixes_of(master, masters)
            assert all(node.exists(ledger_key(prefix)) for prefix in own)
            assert 0.8 <= len(own) * masters / partitions_for(masters) <= 1.25


@pytest.mark.long
@pytest.mark.parametrize("masters", [9, 32])
async def test_a_master_of_many_that_is_killed_takes_only_its_own_partitions_with_it(masters: int) -> None:
    """It has no replica, and comes back empty."""
    load, dead = Steady("many"), masters - 1
    is_of_dead, down = _is_of(dead, masters), len(_prefixes_of(dead, masters))
    options = ("--cluster-require-full-coverage", "no")
    settings = KEEPING | {"store_deadline_seconds": 5}  # beside so many servers on a busy machine
    with (
        cluster_server(masters=masters, options=options) as server,
        gate_process(store_url=server.url, **settings) as gate,
    ):
        _assert_even_shares(server, masters)
        async with load.running(gate.url, POSTS_A_SECOND):
            await _serves(load)
            await _until(lambda: any(is_of_dead(post) and post.status == 200 for post in list(load.posts)))
            kill_all(server.processes[dead:])
            await _until(lambda: figure(gate, "store_partitions_down") == down)
            await _others_serve(load, is_of_dead)
            server.processes[dead:] = start_all(server.launches[dead:])
            await _serves(load)
        await assert_counted(gate, load)
        assert [post for post in load.failed() if not is_of_dead(post)] == []
        assert load.unready() == []
        told = acknowledged(load)
        lost = await lost_of(gate, told)
        assert [post for post in lost if not is_of_dead(post)] == []
        assert (figure(gate, "store_lost_entries_total", map="transactions") or 0) >= len(lost) > 0
        await assert_honest(gate, server, [load], lost)
        log.info("%d acknowledged, %d lost, %d refused", len(told), len(lost), len(load.failed()))


async def _others_serve(load: Steady, is_of_dead: Callable[[Post], bool]) -> None:
    """Wait until posts are answered that were sent from now on: those of a dead master are refused."""
    before = len(load.posts)

    def is_enough() -> bool:
        since = [post for post in load.posts[before:] if post.answered < float("inf")]
        return sum(post.status == 200 for post in since) >= SERVED and any(map(is_of_dead, since))

    await _until(is_enough)


async def _replaced(server: StoreServer, masters: int, dead: int) -> None:
    """Wait until the replica of a master that is dead has become a master."""
    with server.nodes()[masters + dead] as replica:
        await _until(lambda: bool(replica.info("replication")["role"] == "master"))


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "masters", "full_coverage"),
    [("valkey", 3, "no"), ("redis", 3, "yes"), ("redis", 6, "no"), ("valkey", 6, "yes")],
)
async def test_a_master_that_is_killed_is_replaced_and_the_others_serve_on(
    kind: str, masters: int, full_coverage: str
) -> None:
    load, dead = Steady("killed"), masters - 1
    is_of_dead = _is_of(dead, masters)
    with (
        _cluster(kind, masters, full_coverage) as server,
        gate_process(store_url=server.url, **KEEPING) as gate,
    ):
        async with load.running(gate.url, POSTS_A_SECOND):
            await _serves(load)
            killed_ms = time.time() * 1000
            kill_all(server.processes[dead : dead + 1])
            await _replaced(server, masters, dead)
            promoted = time.monotonic()
            await _serves(load)
        _log_figures(load, promoted)
        await assert_counted(gate, load)
        if full_coverage == "no":
            assert [post for post in load.failed() if not is_of_dead(post)] == []
        told = acknowledged(load)
        lost = await lost_of(gate, told)
        assert_latest(lost, list(filter(is_of_dead, told)), killed_ms)
        assert [post for post in lost if not is_of_dead(post) or post.first_seen_ms >= killed_ms] == []
        await assert_honest(gate, server, [load], lost)
        assert load.unready() == [] or full_coverage == "yes"


def _log_figures(load: Steady, promoted: float) -> None:
    last = max((post.sent for post in load.failed()), default=promoted)
    text = "%d posts, %d of them refused, the last one %.2f s after the replica was promoted"
    log.info(text, len(load.posts), len(load.failed()), last - promoted)


@pytest.mark.long
async def test_where_a_replica_has_to_confirm_a_killed_master_takes_nothing_acknowledged_with_it() -> None:
    """The replica lags when its master dies, and has no replica itself until the old master is back."""
    load, masters, dead = Steady("confirmed"), 3, 2
    with _cluster("valkey", masters) as server:
        replicas = server.processes[masters + dead : masters + dead + 1]
        with gate_process(store_url=server.url, store_min_replicas=1, **KEEPING) as gate:
            async with load.running(gate.url, POSTS_A_SECOND):
                await _serves(load)
                pause_all(replicas)
                await _until(lambda: _refused(load) > 0)
                kill_all(server.processes[dead : dead + 1])
                resume_all(replicas)
                await _replaced(server, masters, dead)
                await _until(lambda: _warns(gate, "0 replicas follow 1 of the store's 3 masters in time"))
                assert gate.is_ready(), "the others serve on"
                server.processes[dead : dead + 1] = start_all(server.launches[dead : dead + 1])
                await _serves(load)
            assert load.unready() == []
            assert list(filter(_is_of(0, masters), load.failed())) == []
            await assert_counted(gate, load)
            assert await lost_of(gate, acknowledged(load)) == []
            await assert_honest(gate, server, [load], [])


def _refused(load: Steady) -> int:
    told = "it is stored, but too few replicas"
    return sum(post.detail.startswith(told) for post in load.posts)


def _warns(gate: GateProcess, sentence: str) -> bool:
    with gate.client() as client:
        return any(text.startswith(sentence) for text in client.get("/readyz").json()["warnings"])
