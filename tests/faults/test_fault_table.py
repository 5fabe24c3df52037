"""Each fault of the store through each kind of network: nothing is lost, accepted twice, or lied about."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.support.gate import GateProcess, has_port, started
from tests.support.handed_on import LASTING
from tests.support.history import Attempt
from tests.support.load import Feed
from tests.support.networks import CALM, NETWORKS, Network
from tests.support.outages import CLUSTER_OUTAGES, OUTAGES, Outage, kill_clients
from tests.support.processes import wait_until
from tests.support.proxied_gates import proxied
from tests.support.proxy import Proxy
from tests.support.servers import StoreServer, cluster_server, valkey_server

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 120.0
WORKERS, BROKEN_CONNECTIONS = 4, 3
log = logging.getLogger(__name__)  # `--log-cli-level=info` shows the figures


@asynccontextmanager
async def _nothing(_server: StoreServer) -> AsyncIterator[None]:
    """No fault but those of the network."""
    yield


@asynccontextmanager
async def _clients_killed(server: StoreServer) -> AsyncIterator[None]:
    """The store closes every connection, in the middle of whatever was under way."""
    kill_clients(server)
    yield
    kill_clients(server)


@asynccontextmanager
async def _scripts_flushed(server: StoreServer) -> AsyncIterator[None]:
    """The store forgets the scripts."""
    for node in server.nodes():
        with node:
            node.script_flush()
    yield


NO_NAMES = frozenset[str]()
FAULTS = {
    "none": Outage(_nothing, NO_NAMES),
    "clients killed": Outage(_clients_killed, NO_NAMES),
    "scripts flushed": Outage(_scripts_flushed, NO_NAMES),
    **OUTAGES,
}
CLUSTER_FAULTS = {
    "none": FAULTS["none"],
    "clients killed": FAULTS["clients killed"],
    # Restarted nodes would tell their own addresses again, and not those of the proxies.
    "one master paused": CLUSTER_OUTAGES["one master paused"],
}
# The suite has these; `make test-long` has every pair.
IN_SUITE = {
    # A round trip fits into the deadline, and opening a connection does not.
    ("clients killed", "200 ms each way"),
    ("scripts flushed", "reset every 40,000 bytes"),
    ("paused", "swallows answers"),
}


@dataclass(frozen=True)
class _Stage:
    """A store, the proxies before it, and a gate that knows only these."""

    store: StoreServer
    proxies: list[Proxy]
    gate: GateProcess


def _rows(faults: Iterable[str], in_suite: set[tuple[str, str]]) -> list[object]:
    rows = [(fault, network) for fault in faults for network in NETWORKS]
    return [
        pytest.param(*row, marks=() if row in in_suite else pytest.mark.long, id=" - ".join(row))
        for row in rows
    ]


async def _until(condition: Callable[[], bool]) -> None:
    assert await asyncio.to_thread(wait_until, condition, PATIENCE_SECONDS, 0.02)


def _answered(attempts: list[Attempt]) -> int:
    return sum(attempt.reply is not None for attempt in attempts)


async def _serves(feed: Feed) -> None:
    """Wait until requests that are sent from now on are answered 200."""
    since = len(feed.attempts)
    await _until(lambda: sum(attempt.is_processed for attempt in feed.attempts[since:]) >= WORKERS)


def _broken(stage: _Stage) -> int:
    return sum(proxy.broken_connections for proxy in stage.proxies)


async def _live_through(fault: Outage, network: Network, stage: _Stage, feed: Feed) -> float:
    """Go through a fault under load, until the gate serves again; return how many seconds that took."""
    async with feed.running(stage.gate.url, WORKERS, insists=True):
        await _serves(feed)
        network.begin(stage.proxies)
        await _until(lambda: network.breakage is None or _broken(stage) >= BROKEN_CONNECTIONS)
        await _serves(feed)
        async with fault.begin(stage.store):
            since = len(feed.attempts)
            await _until(lambda: _answered(feed.attempts[since:]) >= WORKERS)
        over = time.monotonic()
        await _serves(feed)
        return time.monotonic() - over


async def _check(stage: _Stage, *feeds: Feed) -> None:
    """Send all of it again; then hold the whole history against what the gate and its store say."""
    for feed in feeds:
        await feed.retry(stage.gate.url, list(feed.attempts))
        assert feed.answered("accepted")
        await feed.assert_honest(stage.gate.url, stage.store)


async def _assert_survives(fault: Outage, network: Network, store: StoreServer, row: str) -> None:
    during, after = Feed("during"), Feed("after")
    settings = LASTING | {"store_deadline_seconds": network.deadline_seconds}
    async with proxied(store) as proxies:
        with started(store_url=f"{proxies[0].url}/0", **settings) as gate:
            await _until(lambda: has_port(gate) and gate.is_ready())
            stage = _Stage(store, proxies, gate)
            seconds = await _live_through(fault, network, stage, during)
            async with after.running(gate.url, WORKERS, insists=True):
                await _serves(after)
            refused = len(during.unanswered()) + len(after.unanswered())
            log.info("%s: served %.2f s after the fault; %d requests refused", row, seconds, refused)
            CALM.begin(proxies)
            await _until(gate.is_ready)
            await _check(stage, *([during, after] if fault.keeps_data else [after]))


@pytest.mark.parametrize(("fault", "network"), _rows(FAULTS, IN_SUITE))
async def test_what_is_acknowledged_is_true_whatever_the_store_and_the_network_do(
    fault: str, network: str
) -> None:
    with valkey_server() as store:
        await _assert_survives(FAULTS[fault], NETWORKS[network], store, f"{fault}, {network}")


@pytest.mark.parametrize(("fault", "network"), _rows(CLUSTER_FAULTS, set()))
async def test_what_a_cluster_acknowledged_is_true_whatever_it_and_the_network_do(
    fault: str, network: str
) -> None:
    with cluster_server() as store:
        await _assert_survives(
            CLUSTER_FAULTS[fault], NETWORKS[network], store, f"cluster: {fault}, {network}"
        )
