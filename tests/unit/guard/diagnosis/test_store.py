"""What the maps account for, against what a real store says it uses; the store's figures as they are read."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager

import pytest

from app.errors import StoreError
from app.guard.diagnosis.process_figures import StoreReading, store_reading
from app.guard.memory_reading import MemoryReading, ProcessReading
from app.metrics.catalogue import Metrics
from app.models import Transaction
from app.settings.model import Settings
from app.store.connector import StoreConnector
from app.store.latest_figures import Sizes
from app.store.maps import Maps
from app.store.session import StoreSession
from app.store.settings_in_force import LiveSettings
from app.store.store_fill import store_explained_bytes
from tests.conftest import MakeSettings
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.payloads import Payloads
from tests.support.processes import wait_until
from tests.support.servers import StoreServer, valkey_server

FLUSH, FLUSHES, WARM_UP = 500, 6, 3 * 500


def delivered(items: Sequence[tuple[str, bytes]], source: str) -> list[Transaction]:
    return [transaction(signature, source, json.loads(data)["payload"]) for signature, data in items]


@asynccontextmanager
async def gate_of(settings: Settings) -> AsyncIterator[Gate]:
    gate = await connected_gate(settings)
    try:
        yield gate
    finally:
        await gate.session.close()


def server_name(gate: Gate) -> str:
    assert gate.session.server is not None
    return gate.session.server.name


def used_bytes(server: StoreServer) -> int:
    """Read when nobody else is connected: buffers of connections hold the last block for a while.

    The store tells what they hold (`mem_clients_normal`) as it was when it last looked, up to 250 KB off.
    Connections that other tests have left to the collector are ended.
    """
    nodes = server.nodes()

    def is_alone() -> bool:
        return all(node.info("clients")["connected_clients"] == 1 for node in nodes)

    with ExitStack() as stack:
        for node in nodes:
            stack.enter_context(node)
            node.client_kill_filter(_type="normal", skipme=True)
        assert wait_until(is_alone, 120.0)
        return sum(int(node.info("memory")["used_memory"]) for node in nodes)


async def figures_at(at_seconds: float, gate: Gate, sizes: Sizes) -> StoreReading | None:
    await sizes.refresh_store()
    maps = store_explained_bytes(sizes.maps, server_name(gate))
    store = ProcessReading("store", 8, 7, {"maps": maps})
    reading = MemoryReading(at_seconds, 0, {"store": store}, None, None, sizes.store)
    return store_reading(reading, await gate.session.info("keyspace"))


async def test_the_maps_account_for_what_the_store_uses(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    items = Payloads(seed=1).items(WARM_UP + FLUSHES * FLUSH)
    explained, used = [], []

    async def deliver(start: int, end: int, *sources: str) -> None:
        async with gate_of(settings_for(store, dedup_window_seconds=60)) as gate:
            for source in sources:
                for at in range(start, end, FLUSH):
                    await gate.flusher.flush(delivered(items[at : at + FLUSH], source))
            explained.append(store_explained_bytes(await gate.maps.sizes(), server_name(gate)))
        used.append(used_bytes(store))

    # The first flushes load scripts, which are no part of the maps.
    await deliver(0, WARM_UP, "helius-a", "quicknode-b")
    await deliver(WARM_UP, len(items), "helius-a")
    await deliver(WARM_UP, len(items), "quicknode-b", "grpc-c")
    for number, what in ((1, "transactions"), (2, "and their duplicates")):
        assert explained[number] - explained[0] == pytest.approx(used[number] - used[0], rel=0.15), what


def test_an_empty_store_explains_nothing() -> None:
    assert store_explained_bytes({}) == 0


@pytest.mark.server
async def test_keys_of_others_are_counted_apart_from_those_with_an_expiry() -> None:
    with valkey_server(unix=True) as server, server.nodes()[0] as node, server.nodes(db=3)[0] as other:
        async with gate_of(Settings(store_url=server.url)) as gate:
            await gate.flusher.flush([transaction(f"signature-{number}") for number in range(10)])
            sizes = Sizes(gate.maps.partitions, gate.session.info, lambda _: None)
            await sizes.refresh()
            before = await figures_at(1.0, gate, sizes)
            node.mset({f"session:{number}": "x" for number in range(200)})
            node.set("cache", "x", ex=60)
            other.set("elsewhere", "x")
            after = await figures_at(2.0, gate, sizes)
    assert before is not None
    assert after is not None
    assert before.keys_without_expiry == 0, "ours all have one"
    assert (after.keys - before.keys, after.keys_without_expiry) == (202, 201)
    assert after.used_bytes > before.used_bytes > before.maps_bytes > 0
    assert (after.at_seconds, after.resident_bytes) == (2.0, 7)


async def test_a_store_that_is_not_there_has_no_figures() -> None:
    metrics, live = Metrics(64, "test"), LiveSettings(Settings())
    session = StoreSession(StoreConnector("redis://127.0.0.1:1", 0.2), metrics)
    sizes = Sizes(Maps(session, live.layout).partitions, session.info, lambda _: None)
    assert store_reading(MemoryReading(1.0, 0, {}, None, None, sizes.store), []) is None
    with pytest.raises(StoreError):
        await session.info("keyspace")
