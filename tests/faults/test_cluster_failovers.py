"""A master of a Cluster dies under load and its replica takes over: what each is told is true."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from app.store.partitions import (
    SLOTS,
    key_slot,
    partition_of,
    partition_prefixes,
    partitions_for,
    signature_hash,
)
from tests.support.acknowledged import (
    acknowledged,
    assert_accepted_once,
    assert_latest,
    assert_no_false_duplicate,
    lost_of,
)
from tests.support.gate import GateProcess, gate_process
from tests.support.processes import kill_all, pause_all, resume_all, start_all, wait_until
from tests.support.servers import StoreServer, cluster_server
from tests.support.steady_load import Post, Steady

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.long]

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


def _is_of(master: int, masters: int) -> Callable[[Post], bool]:
    """Tell which posts go to the partitions of a master; the slots are shared out evenly."""
    prefixes = partition_prefixes("tidegate", partitions_for(masters))

    def is_of(post: Post) -> bool:
        slot = key_slot(prefixes[partition_of(signature_hash(post.signature), len(prefixes))].encode())
        return SLOTS * master // masters <= slot < SLOTS * (master + 1) // masters

    return is_of


@contextmanager
def _cluster(kind: str, masters: int, full_coverage: str = "no") -> Iterator[StoreServer]:
    options = ("--cluster-require-full-coverage", full_coverage)
    with cluster_server(kind=kind, masters=masters, replicas=1, options=options) as server:
        yield server


async def _replaced(server: StoreServer, masters: int, dead: int) -> None:
    """Wait until the replica of a master that is dead has become a master."""
    with server.nodes()[masters + dead] as replica:
        await _until(lambda: bool(replica.info("replication")["role"] == "master"))


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
        if full_coverage == "no":
            assert [post for post in load.failed() if not is_of_dead(post)] == []
        told = acknowledged(load)
        lost = await lost_of(gate, told)
        assert_latest(lost, list(filter(is_of_dead, told)), killed_ms)
        assert [post for post in lost if not is_of_dead(post) or post.first_seen_ms >= killed_ms] == []
        await assert_no_false_duplicate(gate, load)
        await assert_accepted_once(gate, told, lost)
        assert load.unready() == [] or full_coverage == "yes"


def _log_figures(load: Steady, promoted: float) -> None:
    last = max((post.sent for post in load.failed()), default=promoted)
    text = "%d posts, %d of them refused, the last one %.2f s after the replica was promoted"
    log.info(text, len(load.posts), len(load.failed()), last - promoted)


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
            assert await lost_of(gate, acknowledged(load)) == []
            await assert_no_false_duplicate(gate, load)
            await assert_accepted_once(gate, acknowledged(load), [])


def _refused(load: Steady) -> int:
    told = "it is stored, but too few replicas"
    return sum(post.detail.startswith(told) for post in load.posts)


def _warns(gate: GateProcess, sentence: str) -> bool:
    with gate.client() as client:
        return any(text.startswith(sentence) for text in client.get("/readyz").json()["warnings"])
