"""A rolling upgrade under load: gates of the last release are replaced by those of this tree.

What is shown goes for the way that docs/upgrading.md describes: start the new gates beside the old ones, then
stop the old ones one by one. Each transaction is delivered at two gates at once, first at two old ones, then
at an old and a new one, then at two new ones.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import STORES
from tests.support.gate import GateProcess, await_gate, gate_process, started
from tests.support.history import Findings, assert_stored
from tests.support.last_release import released_gate, unpack_last_release
from tests.support.ledger import store_key
from tests.support.load import transaction
from tests.support.servers import StoreServer
from tests.support.upgrading import AGAIN_BATCHES, BATCH_ITEMS, BATCHES_A_SECOND, Feeds
from tests.support.wire import ask_once, connected

pytestmark = pytest.mark.slow
LOAD_SECONDS = 1.0  # of each state of the upgrade
PATIENT: dict[str, object] = {
    "dedup_window_seconds": 600,
    "transaction_retention_seconds": 600,
    "emergency_transaction_retention_seconds": 600,
    "observation_retention_seconds": 600,
    "emergency_observation_retention_seconds": 600,
    "store_deadline_seconds": 30,
}
SAMPLED = 400  # one in so many is looked up by HTTP; of all the store is asked itself


@dataclass
class Upgraded:
    """What an upgrade has left."""

    feeds: Feeds
    findings: list[Findings]
    """What each new gate and the store contradict of what was answered."""
    warnings: dict[str, list[str]]
    """What `/readyz` of a new gate said, by the state of the upgrade."""


async def _warnings(gate: GateProcess) -> list[str]:
    reply = await ask_once(gate.url, "GET", "/readyz")
    assert reply.status == 200, reply
    warnings: list[str] = reply.json()["warnings"]
    return warnings


async def _await_take_over(server: StoreServer, gate: GateProcess) -> None:
    """Wait until the gate says that it is alone, and every partition has a ledger of its format."""
    async with asyncio.timeout(60):
        while await _warnings(gate):
            await asyncio.sleep(0.1)
    [*prefixes] = {key.decode().rpartition(":transactions:ledger")[0] for key in _marks(server)}
    with server.client() as client:
        assert all(client.exists(store_key(prefix, "ledger")) for prefix in prefixes)


def _marks(server: StoreServer) -> list[bytes]:
    keys: list[bytes] = []
    for node in server.nodes():
        with node:
            keys += node.scan_iter(match="tidegate:*:transactions:ledger")
    return keys


async def _upgrade(server: StoreServer, release: Path, stack: ExitStack) -> Upgraded:
    settings = {"store_url": server.url, **PATIENT}
    old = [stack.enter_context(released_gate(release, **settings)) for _ in range(2)]
    for gate in old:
        await asyncio.to_thread(await_gate, gate)
    feeds, warnings = Feeds([*old]), {}
    async with feeds.running():
        new = [stack.enter_context(started(**settings)) for _ in range(2)]
        for gate in new:
            await asyncio.to_thread(await_gate, gate)
        warnings["beside"] = await _warnings(new[0])
        await feeds.replace(0, new[0])
        await asyncio.sleep(LOAD_SECONDS)
        latest = feeds.answered("accepted")[-1000::100]
        for gate in (old[1], new[0]):  # each has accepted some of these
            await assert_stored(gate.url, latest)
        await feeds.replace(1, new[1])
        await _await_take_over(server, new[0])
        await asyncio.sleep(LOAD_SECONDS)
    warnings["after"] = await _warnings(new[1])
    return Upgraded(feeds, [await feeds.findings(gate.url, server, SAMPLED) for gate in new], warnings)


@pytest.fixture(scope="module", params=["valkey", pytest.param("cluster", marks=pytest.mark.long)])
def upgraded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    """An upgrade from two old gates to two new ones, under load from begin to end."""
    release = unpack_last_release(tmp_path_factory.mktemp("last-release"))
    with STORES[request.param]() as server, ExitStack() as stack:
        yield asyncio.run(_upgrade(server, release, stack))


def test_nothing_is_accepted_twice_nothing_lost_and_no_duplicate_is_false(upgraded: Upgraded) -> None:
    assert upgraded.findings == [{}, {}]


def test_two_thousand_a_second_are_posted_at_each_of_two_gates_and_all_are_answered(
    upgraded: Upgraded,
) -> None:
    """By a schedule that waits for nobody: each at both gates, and later once more at one of them."""
    assert BATCH_ITEMS * BATCHES_A_SECOND == 2000
    feeds, batches = upgraded.feeds, len(upgraded.feeds.posted)
    assert batches >= feeds.due > 2 * AGAIN_BATCHES
    assert feeds.completed == BATCH_ITEMS * (2 * batches + batches - AGAIN_BATCHES)


def test_only_posts_to_gates_that_were_told_to_stop_fail(upgraded: Upgraded) -> None:
    """Those that they had not answered when they ended; none of their answers is a refusal."""
    assert upgraded.feeds.failures == []
    assert upgraded.feeds.refusals() == []


async def test_a_refusal_is_seen_also_of_a_gate_that_was_told_to_stop(own_valkey: StoreServer) -> None:
    with gate_process(store_url=own_valkey.url) as gate:
        feeds = Feeds([gate], stopping={gate.url})
        own_valkey.kill()
        async with connected(gate.url, 1) as [connection]:
            refused = await feeds.post(gate.url, connection, [transaction("refused")])
        assert feeds.refusals() == [refused]


def test_a_new_gate_says_while_it_keeps_to_the_older_format(upgraded: Upgraded) -> None:
    [beside] = upgraded.warnings["beside"]
    assert "keeps to its format" in beside
    assert upgraded.warnings["after"] == []
