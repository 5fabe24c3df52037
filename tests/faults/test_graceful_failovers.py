"""Graceful failovers of a Cluster, one after the other, under load of two gates."""

import asyncio
import logging
from contextlib import AsyncExitStack, ExitStack

import pytest

from tests.support.acknowledged import assert_counted, assert_honest
from tests.support.cluster import fail_over
from tests.support.gate import gate_process
from tests.support.processes import wait_until
from tests.support.servers import cluster_server
from tests.support.steady_load import Steady

pytestmark = pytest.mark.slow

MASTERS = 3
POSTS_A_SECOND = 50
SERVED = 50  # posts that are accepted between two failovers
PATIENCE_SECONDS = 60.0
UNREADY_SECONDS = 0.3  # as long as a gate may be unready, or leave the question open whether it is ready
HANGING_SECONDS = 3 * UNREADY_SECONDS
KEEPING: dict[str, object] = {
    "dedup_window_seconds": 600,
    "transaction_retention_seconds": 3600,
    "emergency_transaction_retention_seconds": 3600,
}
log = logging.getLogger(__name__)  # `--log-cli-level=info` shows the figures


async def _serves(load: Steady) -> None:
    """Wait until posts are accepted that are sent from now on."""
    before = len(load.posts)

    def accepted() -> int:
        return sum(post.status == 200 for post in load.posts[before:])

    assert await asyncio.to_thread(wait_until, lambda: accepted() >= SERVED, PATIENCE_SECONDS, 0.02)


def _assert_undisturbed(load: Steady) -> None:
    spells = [round(spell.ended - spell.began, 2) for spell in load.unready()]
    slowest = max(post.answered - post.sent for post in load.posts)
    text = "%s: %d posts, %d failed, slowest %.2f s, unready %s"
    log.info(text, load.name, len(load.posts), len(load.failed()), slowest, spells)
    assert spells == []
    assert {post.detail for post in load.failed()} == set()


@pytest.mark.parametrize(
    ("kind", "failovers", "deadline_seconds", "unready_seconds"),
    [
        ("valkey", 2, 5, 10.0),  # beside others on a busy machine
        pytest.param("valkey", 15, 1, UNREADY_SECONDS, marks=pytest.mark.long),
        pytest.param("redis", 15, 1, UNREADY_SECONDS, marks=pytest.mark.long),
    ],
)
async def test_no_gate_is_unready_for_a_moment_while_masters_are_replaced(
    kind: str, failovers: int, deadline_seconds: int, unready_seconds: float
) -> None:
    settings = KEEPING | {"store_deadline_seconds": deadline_seconds}
    loads = [Steady(name, readiness_deadline_seconds=unready_seconds) for name in ("one", "other")]
    with ExitStack() as stack:
        server = stack.enter_context(cluster_server(kind=kind, masters=MASTERS, replicas=1))
        nodes = [stack.enter_context(node) for node in server.nodes()]
        gates = [stack.enter_context(gate_process(store_url=server.url, **settings)) for _ in loads]
        async with AsyncExitStack() as posting:
            for gate, load in zip(gates, loads, strict=True):
                await posting.enter_async_context(load.running(gate.url, POSTS_A_SECOND))
            for number in range(failovers):
                shard = nodes[number % MASTERS], nodes[MASTERS + number % MASTERS]
                await asyncio.to_thread(fail_over, shard)
                for load in loads:
                    await _serves(load)
        for gate, load in zip(gates, loads, strict=True):
            _assert_undisturbed(load)
            await assert_counted(gate, load)
        third = stack.enter_context(gate_process(store_url=server.url, **settings))
        await assert_honest(third, server, loads, [])


async def test_a_gate_that_says_late_that_it_is_ready_is_found() -> None:
    """It hangs and goes on, and answers each who asked in the end that it is ready."""
    load = Steady("hung", readiness_deadline_seconds=UNREADY_SECONDS)
    with gate_process(**KEEPING) as gate:
        async with load.running(gate.url, POSTS_A_SECOND), asyncio.timeout(PATIENCE_SECONDS):
            await _serves(load)
            while not load.unready():
                gate.pause()
                await asyncio.sleep(HANGING_SECONDS)
                gate.resume()
                await _serves(load)
        with pytest.raises(AssertionError):
            _assert_undisturbed(load)
