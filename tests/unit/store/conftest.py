"""The loop under the tests of the store's connections; gates and clocks for those of its readers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import uvloop

from app.store import sentinel_primary
from tests.conftest import MakeSettings
from tests.support.deliver import Gate, connected_gate
from tests.support.servers import StoreServer
from tests.support.store_clock import Clocks, StoreClock, let_clocks_be_set

Loops = dict[str, Callable[[], asyncio.AbstractEventLoop]]

# What they test depends on the transports; these are those of the gate, and of no other test.
_ON_THE_GATES_LOOP = (
    *("test_shared_connection.py", "test_reconnecting_node.py", "test_unsent.py"),
    *("test_broken_connections.py", "test_far_stores.py"),
)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Loops:
    """Give the tests of connections the event loop that a gate runs on, and others that of asyncio."""
    if item.path.name in _ON_THE_GATES_LOOP:
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture
async def gate(store: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Gate]:
    """A gate in front of each store."""
    opened = await connected_gate(settings_for(store, dedup_window_seconds=60))
    yield opened
    await opened.session.close()


@pytest.fixture
async def single(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Gate]:
    """A gate in front of a Valkey, which has one partition."""
    opened = await connected_gate(settings_for(valkey, dedup_window_seconds=60))
    yield opened
    await opened.session.close()


@pytest.fixture
async def narrow(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Gate]:
    """The same with limits so low that a bucket takes one transaction."""
    limits = {"transactions_limit": 64, "observations_limit": 64}
    opened = await connected_gate(settings_for(valkey, dedup_window_seconds=60, **limits))
    yield opened
    await opened.session.close()


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clocks]:
    """Has the scripts go by a clock that can be set; to be asked for before the gate."""
    let_clocks_be_set(monkeypatch)
    opened: list[StoreClock] = []

    def clock(store: StoreServer, gate: Gate) -> StoreClock:
        opened.append(StoreClock(store, gate.maps.layout.prefixes))
        return opened[-1]

    yield clock
    for one in opened:
        one.close()


@pytest.fixture
def only_when_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the sentinels asked by calls alone, and not ten times a second as well."""
    monkeypatch.setattr(sentinel_primary, "ASK_SECONDS", 3600.0)
