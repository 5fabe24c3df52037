"""The judge of a failover finds a double, a loss and more, planted in each kind of store that fails over."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest

from tests.support.acknowledged import acknowledged, assert_counted, assert_honest, lost_of
from tests.support.gate import GateProcess, gate_process
from tests.support.handed_on import LASTING
from tests.support.history import Attempt
from tests.support.load import transaction
from tests.support.planted import add_signature, delete_buckets
from tests.support.processes import wait_until
from tests.support.sentinels import Watched, watched_servers
from tests.support.servers import StoreServer, cluster_server, valkey_server
from tests.support.steady_load import Post, Steady
from tests.support.wire import ask_once

PATIENCE_SECONDS, ENOUGH, POSTS_A_SECOND = 60.0, 8, 50
BRIEF_SECONDS = 0.2
Server = StoreServer | Watched
STORES: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "valkey": valkey_server,
    "cluster": partial(cluster_server, replicas=1),
    "sentinel": watched_servers,
}


@pytest.fixture(
    scope="module",
    params=["valkey", *(pytest.param(name, marks=pytest.mark.long) for name in ("cluster", "sentinel"))],
)
def store(request: pytest.FixtureRequest) -> Iterator[Server]:
    with STORES[request.param]() as server:
        yield server


@pytest.fixture(scope="module")
def gate(store: Server) -> Iterator[GateProcess]:
    with gate_process(store_url=store.url, **LASTING) as gate:
        yield gate


async def _loaded(gate: GateProcess, name: str) -> Steady:
    load = Steady(name)
    async with load.running(gate.url, POSTS_A_SECOND):
        assert await asyncio.to_thread(
            wait_until, lambda: sum(post.status == 200 for post in load.posts) >= ENOUGH, PATIENCE_SECONDS
        )
    return load


@pytest.fixture
async def load(store: Server, gate: GateProcess) -> Steady:
    """A steady load, as the tests of failovers have it, that has gone to a gate whose store was empty."""
    for node in store.masters():
        with node:
            node.flushall()
    return await _loaded(gate, "steady")


async def test_what_went_well_passes(load: Steady, store: Server, gate: GateProcess) -> None:
    assert await lost_of(gate, acknowledged(load)) == []
    await assert_honest(gate, store, [load], [])


async def test_a_planted_double_is_found(load: Steady, store: Server, gate: GateProcess) -> None:
    delete_buckets(store, "signatures")
    with pytest.raises(AssertionError, match="accepted again, and lost"):
        await assert_honest(gate, store, [load], [])


async def test_a_planted_loss_is_found_and_what_is_lost_is_no_duplicate(
    load: Steady, store: Server, gate: GateProcess
) -> None:
    told = acknowledged(load)
    delete_buckets(store, "transactions")
    assert await lost_of(gate, told) == told
    with pytest.raises(AssertionError, match="accepted again, and lost"):
        await assert_honest(gate, store, [load], told)
    with pytest.raises(AssertionError, match="'lost'"):
        await assert_honest(gate, store, [load], [])


async def test_a_refused_one_that_is_called_a_duplicate_and_is_not_there_is_found(
    load: Steady, store: Server, gate: GateProcess
) -> None:
    for post in load.posts:
        post.status, post.attempt.reply = 503, None
    delete_buckets(store, "transactions")
    with pytest.raises(AssertionError, match="'lost'"):
        await assert_honest(gate, store, [load], [])


async def test_a_planted_imbalance_is_found(load: Steady, store: Server, gate: GateProcess) -> None:
    add_signature(store)
    with pytest.raises(AssertionError, match="'unbalanced': \\['signatures'\\]"):
        await assert_honest(gate, store, [load], [])


async def test_a_gate_that_leaves_the_question_whether_it_is_ready_unanswered_is_not_ready(
    gate: GateProcess,
) -> None:
    load = Steady("hung", readiness_deadline_seconds=BRIEF_SECONDS)
    async with load.running(gate.url, POSTS_A_SECOND):
        gate.pause()
        try:
            assert await asyncio.to_thread(wait_until, lambda: bool(load.unready()), PATIENCE_SECONDS)
        finally:
            gate.resume()


async def test_what_was_served_by_a_gate_that_said_all_the_while_that_it_is_not_ready_is_found() -> None:
    """Between its answers to two that asked; what it served before the first and after the last is none."""
    load = Steady("served", readiness=[(1, True), (2, False), (5, False), (9, True)])
    for signature, sent, answered, status in (
        *(("before", 1.5, 2.5, 200), ("between", 3, 4, 200), ("refused", 3, 4, 503), ("after", 4, 6, 200)),
        ("later", 10, 11, 200),
    ):
        load.posts.append(Post(signature, sent, Attempt("", [], "one"), answered, status))
    assert [post.signature for post in load.served_while_unready()] == ["between"]


async def test_one_that_was_accepted_and_never_sent_is_found(
    load: Steady, store: Server, gate: GateProcess
) -> None:
    await ask_once(gate.url, "POST", "/transactions", transaction("beside"))
    with pytest.raises(AssertionError, match="counted, and sent"):
        await assert_honest(gate, store, [load], [])


async def test_one_that_the_gate_counts_and_no_feed_was_told_of_is_found(store: Server) -> None:
    with gate_process(store_url=store.url, **LASTING) as gate:
        load = await _loaded(gate, "counted")
        await assert_counted(gate, load)
        await ask_once(gate.url, "POST", "/transactions", transaction("beside"))
        with pytest.raises(AssertionError, match="counted, and answered"):
            await assert_counted(gate, load)
