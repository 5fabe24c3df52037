"""Ordinary life of a store beside a steady load: restarts and closed connections, and what they may cost."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.gate import GateProcess, gate_process
from tests.support.outages import close_idle_after, kill_clients, restart
from tests.support.servers import OVER_TCP, StoreServer
from tests.support.steady_load import Steady
from tests.support.wire import figure

POSTS_A_SECOND = 40
CALM_SECONDS = 0.5
IDLE_TIMEOUT_SECONDS = 3
BURST_POSTS = 40
PAUSE_MS = 500


STORES = [
    pytest.param(name, marks=[pytest.mark.long] if name == "redis-cluster" else []) for name in OVER_TCP
]


@pytest.fixture(scope="module", params=STORES)
def breakable(request: pytest.FixtureRequest) -> Iterator[StoreServer]:
    with OVER_TCP[request.param]() as server:
        yield server


@pytest.fixture
def gate(breakable: StoreServer) -> Iterator[GateProcess]:
    """With the default deadline, but for a busy machine, on which a second may be short."""
    with gate_process(store_url=breakable.url, store_deadline_seconds=5) as gate:
        yield gate


def _connections(store: StoreServer) -> int:
    total = 0
    for node in store.nodes():
        with node:
            total += sum(client["name"] == "tidegate" for client in node.client_list())
    return total


def _pause(store: StoreServer) -> None:
    for node in store.nodes():
        with node:
            node.client_pause(PAUSE_MS)


@pytest.mark.parametrize("seconds", [0.06, 2.0])
async def test_a_restart_costs_only_posts_of_its_time_and_one_spell_at_most(
    breakable: StoreServer, gate: GateProcess, seconds: float
) -> None:
    steady = Steady("restarted")
    async with steady.running(gate.url, POSTS_A_SECOND):
        await asyncio.sleep(CALM_SECONDS)
        await restart(breakable, gate, steady, seconds)
        # Connections that were open before are used one after the other: what once made it unready again.
        for _ in range(3):
            await asyncio.gather(*(steady.post(gate.url) for _ in range(BURST_POSTS)))
            await asyncio.sleep(CALM_SECONDS)
    assert steady.failed_while_there() == []
    assert len(steady.unready()) <= 1


async def test_a_burst_opens_no_connection_that_the_store_would_close_when_idle(
    breakable: StoreServer, gate: GateProcess
) -> None:
    """Requests that wait for a paused store share the connection that stands, and few posts keep it alive."""
    steady = Steady("timeout")
    close_idle_after(breakable, IDLE_TIMEOUT_SECONDS)
    try:
        async with steady.running(gate.url, POSTS_A_SECOND):
            for _ in range(2):
                await asyncio.to_thread(_pause, breakable)
                await asyncio.gather(*(steady.look_up(gate.url) for _ in range(BURST_POSTS)))
                assert await asyncio.to_thread(_connections, breakable) <= len(breakable.launches)
                await asyncio.gather(*(steady.post(gate.url) for _ in range(BURST_POSTS)))
    finally:
        close_idle_after(breakable, 0)
    assert steady.failed() == []
    assert steady.unready() == []


async def test_clients_killed_cost_at_most_the_posts_under_way(
    breakable: StoreServer, gate: GateProcess
) -> None:
    steady = Steady("killed")
    async with steady.running(gate.url, POSTS_A_SECOND):
        for _ in range(3):
            await asyncio.sleep(CALM_SECONDS)
            with steady.store_away():
                await asyncio.to_thread(kill_clients, breakable)
        await asyncio.sleep(CALM_SECONDS)
    assert steady.failed_while_there() == []
    assert steady.unready() == []
    assert await figure(gate.url, "tidegate_store_up") == 1
