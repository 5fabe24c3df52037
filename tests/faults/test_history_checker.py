"""The judge of a history finds a double, a loss, a false duplicate and more, planted under each load."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest

from app.store.partitions import signature_hash
from tests.support.gate import GateProcess, gate_process
from tests.support.handed_on import LASTING
from tests.support.history import ACCEPTED, DUPLICATE, Attempt, History, judge
from tests.support.load import Feed, transaction
from tests.support.planted import add_signature, delete_buckets
from tests.support.processes import wait_until
from tests.support.rivals import Rivals
from tests.support.servers import OVER_TCP, StoreServer
from tests.support.upgrading import Feeds
from tests.support.wire import Reply, ask_once

PATIENCE_SECONDS, ENOUGH = 60.0, 8
Running = AbstractAsyncContextManager[None]
Deliver = Callable[[str], Awaitable[History]]


def _feed(name: str, gate: GateProcess) -> tuple[History, Running]:
    feed = Feed(name)
    return feed, feed.running(gate.url)


def _rivals(name: str, gate: GateProcess) -> tuple[History, Running]:
    rivals = Rivals(name, [gate.url, gate.url])
    return rivals, rivals.running()


def _upgrade(name: str, gate: GateProcess) -> tuple[History, Running]:
    feeds = Feeds([gate, gate], name)
    return feeds, feeds.running()


@pytest.fixture(scope="module", params=["valkey", pytest.param("valkey-cluster", marks=pytest.mark.long)])
def store(request: pytest.FixtureRequest) -> Iterator[StoreServer]:
    with OVER_TCP[request.param]() as server:
        yield server


@pytest.fixture(scope="module")
def gate(store: StoreServer) -> Iterator[GateProcess]:
    with gate_process(store_url=store.url, **LASTING) as gate:
        yield gate


async def _delivered(
    load: Callable[[str, GateProcess], tuple[History, Running]], gate: GateProcess, name: str
) -> History:
    history, running = load(name, gate)
    async with running:
        assert await asyncio.to_thread(
            wait_until, lambda: len(history.processed()) >= ENOUGH, PATIENCE_SECONDS
        )
    await history.retry(gate.url, history.processed()[:ENOUGH])
    return history


@pytest.fixture(params=[_feed, _rivals, _upgrade])
def deliver(request: pytest.FixtureRequest, store: StoreServer, gate: GateProcess) -> Deliver:
    """Deliver under a name, some of it twice, to a gate whose store was empty."""
    store.flush()
    return partial(_delivered, request.param, gate)


async def _post_beside(gate: GateProcess, name: str, **changes: object) -> None:
    """Post what a load delivers first, so that the load does not know of it."""
    for first in (f"{name}-0", f"{name}-0-0"):
        await ask_once(gate.url, "POST", "/transactions", transaction(first) | changes)


async def test_what_went_well_passes_and_so_does_the_retry_of_what_was_refused(
    deliver: Deliver, store: StoreServer, gate: GateProcess
) -> None:
    history, refused = await deliver("well"), Attempt(gate.url, [transaction("well-0-refused")], "one")
    history.attempts.insert(0, refused)
    with pytest.raises(AssertionError, match=r"never answered.*well-0-refused"):
        await history.assert_honest(gate.url, store)
    await ask_once(gate.url, "POST", "/transactions", refused.items[0])
    await history.retry(gate.url, [refused])
    assert refused.items[0] in history.answered(DUPLICATE)
    await history.assert_honest(gate.url, store)


async def test_a_planted_double_is_found(deliver: Deliver, store: StoreServer, gate: GateProcess) -> None:
    history = await deliver("double")
    delete_buckets(store, "signatures")
    doubles = history.processed()[0]
    await history.retry(gate.url, [doubles])
    found = await history.findings(gate.url, store)
    assert found.pop("accepted twice") == [item["signature"] for item in doubles.items]
    assert found.keys() <= {"unbalanced"}


def test_a_double_of_which_a_refusal_told_is_found() -> None:
    """A refusal with a summary: the first was accepted, and the second failed."""
    items = [transaction("first"), transaction("second")]
    summary = {"accepted": 1, "duplicate": 0, "failed": 1, "duplicates": [], "errors": [{"index": 1}]}
    answers = [(503, summary), (200, {"accepted": 2, "duplicate": 0, "invalid": 0, "duplicates": []})]
    attempts = [
        Attempt("", items, reply=Reply(status, {}, json.dumps(told).encode())) for status, told in answers
    ]
    kept = {signature_hash(name) for name in ("first", "second")}
    assert judge(attempts, kept, {}) == {"accepted twice": ["first"]}


async def test_a_planted_loss_is_found(deliver: Deliver, store: StoreServer, gate: GateProcess) -> None:
    history = await deliver("loss")
    delete_buckets(store, "transactions")
    found = await history.findings(gate.url, store)
    assert set(found.pop("lost")) == {item["signature"] for item in history.answered(ACCEPTED)}
    assert found.keys() <= {"unbalanced"}


async def test_a_planted_false_duplicate_is_found(
    deliver: Deliver, store: StoreServer, gate: GateProcess
) -> None:
    await _post_beside(gate, "false")
    found = await (await deliver("false")).findings(gate.url, store)
    assert len(found.pop("false duplicates")) == 1
    assert found == {}


async def test_a_payload_that_was_exchanged_is_found(
    deliver: Deliver, store: StoreServer, gate: GateProcess
) -> None:
    await _post_beside(gate, "exchanged", payload="another")
    found = await (await deliver("exchanged")).findings(gate.url, store)
    assert found.pop("exchanged") == found.pop("false duplicates")
    assert found == {}


async def test_a_planted_imbalance_is_found(deliver: Deliver, store: StoreServer, gate: GateProcess) -> None:
    history = await deliver("balance")
    add_signature(store)
    assert await history.findings(gate.url, store) == {"unbalanced": ["signatures"]}


def _attempt(began: float, verdict: str | None) -> Attempt:
    reply = Reply(200, {}, json.dumps({"status": verdict}).encode()) if verdict else None
    return Attempt("a gate", [transaction("one")], "one", began, began + 1, reply)


def test_the_judge_calls_a_duplicate_false_that_nothing_explains() -> None:
    def found(*attempts: Attempt) -> list[str]:
        return list(judge(attempts, {signature_hash("one")}, {}))

    unknown, accepted, duplicate = _attempt(1, None), _attempt(1, ACCEPTED), _attempt(3, DUPLICATE)
    assert found(unknown, duplicate) == found(accepted, duplicate) == []
    for attempts in ([duplicate], [duplicate, duplicate], [duplicate, _attempt(5, ACCEPTED)]):
        assert found(*attempts) == ["false duplicates"]


def test_what_was_acknowledged_is_lost_if_either_the_store_or_a_lookup_lacks_it() -> None:
    kept, found = {signature_hash("one")}, {"one": transaction("one")["payload"]}
    accepted, unknown = _attempt(1, ACCEPTED), _attempt(1, None)
    assert judge([accepted], kept, found) == {}
    assert judge([accepted], set(), found) == {"lost": ["one"]}
    assert judge([accepted], kept, {"one": None}) == {"lost": ["one"]}
    assert judge([accepted], kept, {"one": "another"}) == {"exchanged": ["one"]}
    assert judge([unknown], set(), {}) == {"never answered": ["one"]}
