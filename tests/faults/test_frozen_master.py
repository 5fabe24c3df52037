"""A Cluster's master is frozen while gates wait for its replica, which takes its place."""

import asyncio
from contextlib import ExitStack

import pytest
import redis

from app.store.store_errors import STORE_ERRORS
from tests.support.gate import gate_process
from tests.support.history import ACCEPTED
from tests.support.processes import pause_all, resume_all, wait_until
from tests.support.rivals import Rivals
from tests.support.servers import cluster_server

pytestmark = [pytest.mark.slow, pytest.mark.long]

PATIENCE_SECONDS = 60.0
MASTERS = 3
SETTINGS: dict[str, object] = {
    "store_min_replicas": 1,
    "store_deadline_seconds": 4,  # of which replicas have one
    "dedup_window_seconds": 300,
    "transaction_retention_seconds": 600,
    "emergency_transaction_retention_seconds": 600,
}
ACCEPTANCES, ANSWERS, SAMPLED = 300, 20, 20
ADVICE = {error.advice for error in STORE_ERRORS}


async def _accepts(rivals: Rivals) -> None:
    """Wait until each gate has accepted enough of what was posted from now on."""
    before = len(rivals.attempts)

    def is_enough() -> bool:
        since = rivals.attempts[before:]
        accepted = [attempt.url for attempt in since for told in attempt.told() if told == ACCEPTED]
        return all(accepted.count(url) >= ACCEPTANCES for url in rivals.urls)

    assert await asyncio.to_thread(wait_until, is_enough, PATIENCE_SECONDS)


async def _are_answered(rivals: Rivals) -> None:
    """Wait until each gate has answered what was posted from now on, if only that replicas are missing."""
    before = len(rivals.attempts)

    def is_enough() -> bool:
        answered = [attempt.url for attempt in rivals.attempts[before:] if attempt.reply]
        return all(answered.count(url) >= ANSWERS for url in rivals.urls)

    assert await asyncio.to_thread(wait_until, is_enough, PATIENCE_SECONDS)


async def _until_role(node: redis.Redis, role: str) -> None:
    def has_role() -> bool:
        return bool(node.info("replication")["role"] == role)

    assert await asyncio.to_thread(wait_until, has_role, PATIENCE_SECONDS)


def _waits(master: redis.Redis) -> bool:
    return bool(master.info("clients")["blocked_clients"])


@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_what_was_acknowledged_is_kept_and_each_refusal_is_named(kind: str) -> None:
    """The master comes back with claims that its replica never got, and that nobody was told of."""
    with ExitStack() as stack:
        server = stack.enter_context(cluster_server(kind=kind, masters=MASTERS, replicas=1))
        gates = [stack.enter_context(gate_process(store_url=server.url, **SETTINGS)) for _ in range(2)]
        nodes = [stack.enter_context(node) for node in server.nodes()]
        frozen, follower = server.processes[:1], server.processes[MASTERS : MASTERS + 1]
        rivals = Rivals("frozen", [gate.url for gate in gates])
        async with rivals.running():
            await _accepts(rivals)
            pause_all(follower)
            assert await asyncio.to_thread(wait_until, lambda: _waits(nodes[0]), PATIENCE_SECONDS)
            pause_all(frozen)
            resume_all(follower)
            await _until_role(nodes[MASTERS], "master")
            await _are_answered(rivals)
            resume_all(frozen)
            await _until_role(nodes[0], "slave")
            await _accepts(rivals)
        refusals = rivals.refusals()
        assert refusals != []
        assert {told for told in refusals if not any(advice in told for advice in ADVICE)} == set()
        assert all(gate.is_ready() for gate in gates)
        await rivals.assert_honest(gates[0].url, server, SAMPLED)
