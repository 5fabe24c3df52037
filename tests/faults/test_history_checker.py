"""The checks of a history of deliveries fail when a double, a loss or a false duplicate is planted."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.gate import GateProcess, gate_process
from tests.support.handed_on import LASTING
from tests.support.load import Attempt, Feed, assert_balanced, transaction
from tests.support.processes import wait_until
from tests.support.servers import StoreServer, valkey_server
from tests.support.wire import ask_once

PATIENCE_SECONDS, ENOUGH = 60.0, 8


@pytest.fixture(scope="module")
def store() -> Iterator[StoreServer]:
    with valkey_server() as server:
        yield server


@pytest.fixture(scope="module")
def gate(store: StoreServer) -> Iterator[GateProcess]:
    with gate_process(store_url=store.url, **LASTING) as gate:
        yield gate


async def _delivered(gate: GateProcess, name: str) -> Feed:
    """Return a feed whose requests were answered, some of them twice."""
    feed = Feed(name)
    async with feed.running(gate.url):
        assert await asyncio.to_thread(wait_until, lambda: len(feed.processed()) >= ENOUGH, PATIENCE_SECONDS)
    await feed.retry(gate.url, feed.processed()[:ENOUGH])
    return feed


def _delete(store: StoreServer, kind: str) -> None:
    """Delete all buckets of a map, as no gate does it."""
    [node] = store.nodes()
    with node:
        node.delete(*node.scan_iter(f"tidegate:*:{kind}:*"))


async def test_what_went_well_passes_and_so_does_the_retry_of_what_was_refused(
    store: StoreServer, gate: GateProcess
) -> None:
    store.flush()
    feed = await _delivered(gate, "well")
    feed.attempts.insert(0, Attempt("one", [transaction("well-refused")]))
    await ask_once(gate.url, "POST", "/transactions", transaction("well-refused"))
    await feed.retry(gate.url, [feed.attempts[0]])
    assert "well-refused" in {item["signature"] for item in feed.answered("duplicate")}
    await feed.assert_honest(gate.url)
    await assert_balanced(gate.url, store)


async def test_a_planted_double_is_found(store: StoreServer, gate: GateProcess) -> None:
    feed = await _delivered(gate, "double")
    _delete(store, "signatures")
    await feed.retry(gate.url, feed.processed()[:1])
    with pytest.raises(AssertionError, match="accepted twice"):
        await feed.assert_honest(gate.url)


async def test_a_planted_loss_is_found(store: StoreServer, gate: GateProcess) -> None:
    feed = await _delivered(gate, "loss")
    _delete(store, "transactions")
    with pytest.raises(AssertionError, match="lost"):
        await feed.assert_honest(gate.url)


async def test_a_planted_false_duplicate_is_found(gate: GateProcess) -> None:
    await ask_once(gate.url, "POST", "/transactions", transaction("false-0"))
    feed = await _delivered(gate, "false")
    with pytest.raises(AssertionError, match="never sent before"):
        await feed.assert_honest(gate.url)


async def test_a_payload_that_was_exchanged_is_found(gate: GateProcess) -> None:
    feed = await _delivered(gate, "exchanged")
    feed.processed()[0].items[0]["payload"] = "another"
    with pytest.raises(AssertionError, match="other than was sent"):
        await feed.assert_honest(gate.url)


async def test_a_planted_imbalance_is_found(store: StoreServer, gate: GateProcess) -> None:
    store.flush()
    await _delivered(gate, "balance")
    await assert_balanced(gate.url, store)
    [node] = store.nodes()
    with node:
        key = next(node.scan_iter("tidegate:*:signatures:*"))
        node.hdel(key, next(field for field in node.hkeys(key) if field))
    with pytest.raises(AssertionError, match="signatures"):
        await assert_balanced(gate.url, store)
