"""Law 8: without its store the gate acknowledges nothing, says why, and is back by itself."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager

import pytest
import redis

from tests.support.gate import START_SECONDS, GateProcess, gate_process, has_port, started
from tests.support.history import Attempt
from tests.support.load import Feed
from tests.support.outages import CLUSTER_OUTAGES, OUTAGES, Outage
from tests.support.processes import wait_until
from tests.support.servers import StoreServer, cluster_server
from tests.support.wire import Connection, ask_once, connected, figure

DEADLINE_SECONDS = 0.5
NOTICED_SECONDS = 30.0
BACK_SECONDS = 30.0
WORKERS = 4
PROBES = ("/livez", "/metrics")
KINDS = {"one", "array", "lines"}
SCRIPT_FLUSHES = 1000


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[StoreServer]:
    with cluster_server() as server:
        yield server


def _gate_for(store: StoreServer) -> dict[str, object]:
    return {
        "store_url": store.url,
        "store_deadline_seconds": DEADLINE_SECONDS,
        "dedup_window_seconds": 60,
        "transaction_retention_seconds": 3600,  # on a busy machine a test takes minutes
    }


async def _eventually(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll beside the event loop, which goes on with the load."""
    return await asyncio.to_thread(wait_until, condition, seconds)


@asynccontextmanager
async def _probed(gate: GateProcess) -> AsyncIterator[Counter[str]]:
    """All the while, liveness and metrics are asked; how often each has answered."""
    stop, answers = asyncio.Event(), Counter[str]()

    async def look(connection: Connection, path: str) -> None:
        while not stop.is_set():
            assert (await connection.get(path)).status == 200
            answers[path] += 1
            await asyncio.sleep(0.05)

    async with connected(gate.url, len(PROBES)) as connections:
        probes = [asyncio.create_task(look(*pair)) for pair in zip(connections, PROBES, strict=True)]
        try:
            yield answers
        finally:
            stop.set()
            await asyncio.gather(*probes)


async def _assert_says_why(gate: GateProcess, outage: Outage) -> None:
    reply = await ask_once(gate.url, "GET", "/readyz")
    assert reply.status == 503
    assert any(kind in reason for kind in outage.kinds for reason in reply.json()["reasons"]), reply
    assert await figure(gate.url, "tidegate_store_up") == 0


def _replied(feed: Feed, first: int) -> list[Attempt]:
    return [attempt for attempt in feed.attempts[first:] if attempt.reply]


def _kinds(attempts: list[Attempt]) -> set[str]:
    return {attempt.kind for attempt in attempts}


async def _errors(gate: GateProcess, outage: Outage) -> float:
    return sum([await figure(gate.url, "tidegate_store_errors_total", kind=kind) for kind in outage.kinds])


async def _counted(gate: GateProcess, outage: Outage, before: float) -> None:
    """Wait until an error of the outage is counted: on a busy machine a call may be late before that."""
    async with asyncio.timeout(NOTICED_SECONDS):
        while await _errors(gate, outage) <= before:
            await asyncio.sleep(0.05)


async def _live_through(outage: Outage, store: StoreServer, gate: GateProcess, feed: Feed) -> None:
    """Go through an outage under load, up to the moment the gate serves again."""
    errors = await _errors(gate, outage)
    async with _probed(gate) as answers, feed.running(gate.url, WORKERS):
        assert await _eventually(lambda: bool(feed.processed()), NOTICED_SECONDS)
        async with outage.begin(store):
            first, answered = len(feed.attempts), answers.copy()
            if not outage.is_everywhere:
                assert await _eventually(lambda: not gate.is_ready(), NOTICED_SECONDS)
                first = len(feed.attempts)
            # The second answer was asked for in the outage.
            assert await _eventually(
                lambda: all(answers[path] - answered[path] >= 2 for path in PROBES), NOTICED_SECONDS
            ), answers - answered
            assert await _eventually(lambda: _kinds(_replied(feed, first)) == KINDS, NOTICED_SECONDS)
            refused = _replied(feed, first)
            if outage.is_down:  # of a Cluster each master is found to be down by itself
                assert await _eventually(lambda: not gate.is_ready(), NOTICED_SECONDS)
                await _assert_says_why(gate, outage)
            await _counted(gate, outage, errors)
        assert await _eventually(gate.is_whole, BACK_SECONDS)
        served = len(feed.attempts)
        assert await _eventually(
            lambda: sum(attempt.is_processed for attempt in feed.attempts[served:]) >= WORKERS, BACK_SECONDS
        ), "the load itself found the way back"
    for attempt in refused:
        assert attempt.reply
        attempt.reply.assert_try_again()


async def _assert_recovered(outage: Outage, store: StoreServer, gate: GateProcess, feed: Feed) -> None:
    """Every request was answered; sent again, those refused are stored too."""
    assert {attempt.reply.status for attempt in feed.attempts if attempt.reply} == {200, 503}
    assert all(attempt.reply for attempt in feed.attempts)
    await feed.retry(gate.url, feed.unanswered())
    if outage.keeps_data:
        await feed.assert_honest(gate.url, store)


async def _assert_survives(outage: Outage, store: StoreServer) -> None:
    feed = Feed("outage")
    with gate_process(**_gate_for(store)) as gate:
        await _live_through(outage, store, gate, feed)
        await _assert_recovered(outage, store, gate, feed)
        assert await figure(gate.url, "tidegate_store_up") == 1


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
async def test_while_the_store_fails_nothing_is_acknowledged_and_afterwards_the_gate_serves_by_itself(
    outage: Outage, own_valkey: StoreServer
) -> None:
    await _assert_survives(outage, own_valkey)


@pytest.mark.parametrize("outage", CLUSTER_OUTAGES.values(), ids=CLUSTER_OUTAGES)
async def test_while_a_cluster_fails_nothing_is_acknowledged_and_afterwards_the_gate_serves_by_itself(
    outage: Outage, own_cluster: StoreServer
) -> None:
    own_cluster.flush()
    await _assert_survives(outage, own_cluster)


async def test_a_gate_whose_store_is_full_says_so_in_its_readiness(own_valkey: StoreServer) -> None:
    outage = OUTAGES["full"]
    with gate_process(**_gate_for(own_valkey)) as gate:
        async with outage.begin(own_valkey):
            (await ask_once(gate.url, "POST", "/transactions", {"signature": "one"})).assert_try_again()
            assert await _eventually(lambda: not gate.is_ready(), NOTICED_SECONDS)
            reply = await ask_once(gate.url, "GET", "/readyz")
            assert "full" in str(reply.json()["reasons"])
        assert await _eventually(gate.is_ready, BACK_SECONDS)


def _flush_scripts(node: redis.Redis) -> None:
    """So often that a script may be gone again between its loading and its call."""
    for _ in range(SCRIPT_FLUSHES):
        node.script_flush()


async def test_scripts_flushed_again_and_again_under_load_cost_no_request_its_answer(
    own_valkey: StoreServer,
) -> None:
    feed = Feed("flushed")
    with gate_process(**_gate_for(own_valkey)) as gate, own_valkey.nodes()[0] as node:
        async with feed.running(gate.url):
            await asyncio.to_thread(_flush_scripts, node)
        assert Counter(attempt.reply.status for attempt in feed.attempts if attempt.reply).keys() == {200}
        await feed.assert_honest(gate.url, own_valkey)


@pytest.mark.parametrize("name", ["killed", "paused", "password changed"])
async def test_a_gate_started_without_its_store_says_why_and_serves_once_it_is_there(
    name: str, own_valkey: StoreServer
) -> None:
    outage = OUTAGES[name]
    with ExitStack() as stack:
        async with outage.begin(own_valkey):
            gate = stack.enter_context(started(**_gate_for(own_valkey)))
            assert await _eventually(lambda: has_port(gate), START_SECONDS)
            assert (await ask_once(gate.url, "GET", "/livez")).status == 200
            (await ask_once(gate.url, "POST", "/transactions", {"signature": "one"})).assert_try_again()
            await _assert_says_why(gate, outage)
        assert await _eventually(gate.is_ready, BACK_SECONDS)
        assert (await ask_once(gate.url, "POST", "/transactions", {"signature": "one"})).status == 200
