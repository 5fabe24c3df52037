"""A connection that breaks is replaced; what may have been carried out is never sent again as new."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from app.errors import StoreInterrupted, StoreUnreachable
from app.settings.model import Settings
from app.store.partitions import signature_hash
from tests.conftest import MakeSettings
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.outages import kill_clients
from tests.support.proxy import Proxy
from tests.support.servers import StoreServer, valkey_server

pytestmark = pytest.mark.server


@pytest.fixture
def tcp_valkey() -> Iterator[StoreServer]:
    with valkey_server() as server:
        yield server


@asynccontextmanager
async def _behind_proxy(store: StoreServer) -> AsyncIterator[tuple[Gate, Proxy]]:
    proxy = Proxy(int(store.url.rpartition(":")[2].partition("/")[0]))
    async with proxy.running():
        gate = await connected_gate(Settings(store_url=proxy.url, store_deadline_seconds=3))
        yield gate, proxy
        await gate.session.close()


async def test_connections_killed_while_idle_cost_no_claim(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    """The kill comes while the event loop does not run: only the kernel knows yet that they are dead."""
    gate = await connected_gate(settings_for(store))
    for number in range(10):
        kill_clients(store)
        answers = await gate.flusher.flush([transaction(f"killed-{number}-{n}") for n in range(12)])
        assert {answer.verdict for answer in answers} == {"accepted"}
        assert gate.session.is_up
    await gate.session.close()


async def test_a_store_restarted_between_two_claims_was_never_down(tcp_valkey: StoreServer) -> None:
    gate = await connected_gate(Settings(store_url=tcp_valkey.url, store_deadline_seconds=3))
    for number in range(3):
        tcp_valkey.restart()
        [answer] = await gate.flusher.flush([transaction(f"one-{number}")])
        assert answer.verdict == "accepted"
        assert gate.session.is_up
    await gate.session.close()


async def test_a_claim_whose_answer_was_lost_is_not_sent_again_and_the_store_is_not_down(
    tcp_valkey: StoreServer,
) -> None:
    async with _behind_proxy(tcp_valkey) as (gate, proxy):
        await gate.flusher.flush([transaction("before")])
        proxy.cut_answers_to, sent = b"EVALSHA", len(proxy.commands)
        with pytest.raises(StoreInterrupted):
            await gate.flusher.flush([transaction("one")])
        assert proxy.cuts == 1
        assert len(proxy.commands) == sent + 1, "it was sent once"
        assert gate.session.is_up
        [answer] = await gate.flusher.flush([transaction("one")])
        assert answer.verdict == "duplicate", "law 2: what it finds is stored"
        assert await gate.maps.lookup(signature_hash("one")) is not None


async def test_what_only_reads_is_asked_again_when_its_answer_was_lost(tcp_valkey: StoreServer) -> None:
    async with _behind_proxy(tcp_valkey) as (gate, proxy):
        await gate.flusher.flush([transaction("one")])
        await gate.maps.lookup(signature_hash("one"))
        proxy.cut_answers_to = b"EVALSHA"
        assert await gate.maps.lookup(signature_hash("one")) is not None
        proxy.cut_answers_to = b"INFO"
        assert await gate.session.info("memory")
        proxy.cut_answers_to = b"EVALSHA"
        assert await gate.maps.sizes()
        assert proxy.cuts == 3
        assert gate.session.is_up


async def _lose_the_standing_connection(gate: Gate, proxy: Proxy) -> None:
    await gate.flusher.flush([transaction("before")])
    proxy.cut_answers_to = b"EVALSHA"
    with pytest.raises(StoreInterrupted):
        await gate.flusher.flush([transaction("old")])
    proxy.cuts = 0


async def test_a_new_connection_that_breaks_at_its_first_call_does_not_take_the_store_down(
    tcp_valkey: StoreServer,
) -> None:
    """As one that CLIENT KILL meets by chance: a second one is opened at once, and the claim not repeated."""
    async with _behind_proxy(tcp_valkey) as (gate, proxy):
        await _lose_the_standing_connection(gate, proxy)
        proxy.cut_answers_to, opened = b"EVALSHA", proxy.connections
        sent = len(proxy.commands)
        with pytest.raises(StoreInterrupted):
            await gate.flusher.flush([transaction("new")])
        assert gate.session.is_up
        assert proxy.connections == opened + 2
        assert sum(b"EVALSHA" in command for command in proxy.commands[sent:]) == 1, "law 2: sent once"
        [answer] = await gate.flusher.flush([transaction("new")])
        assert answer.verdict == "duplicate"


async def test_two_new_connections_that_break_one_after_the_other_take_the_store_down(
    tcp_valkey: StoreServer,
) -> None:
    """As behind a proxy that takes connections for a store that is gone."""
    async with _behind_proxy(tcp_valkey) as (gate, proxy):
        await _lose_the_standing_connection(gate, proxy)
        proxy.cut_answers_to, proxy.refuses_after_cut = b"EVALSHA", True
        with pytest.raises(StoreUnreachable):
            await gate.flusher.flush([transaction("new")])
        assert not gate.session.is_up
        proxy.refuses_after_cut = False
        await gate.session.probe(gate.maps.sizes)
        assert gate.session.is_up


async def test_a_connection_that_breaks_at_its_login_is_replaced(tcp_valkey: StoreServer) -> None:
    async with _behind_proxy(tcp_valkey) as (gate, proxy):
        await _lose_the_standing_connection(gate, proxy)
        proxy.cut_answers_to = b"SETNAME"
        [answer] = await gate.flusher.flush([transaction("new")])
        assert (answer.verdict, proxy.cuts) == ("accepted", 1)
        assert gate.session.is_up


async def test_a_store_at_its_limit_of_clients_serves_over_the_connections_that_stand(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(store))
    nodes = store.nodes()
    for node in nodes:
        node.config_set("maxclients", 1)  # fewer than there are: each new one is refused
    try:
        flushes = (gate.flusher.flush([transaction(f"limit-{n}")]) for n in range(30))
        answers = await asyncio.gather(*flushes)
    finally:
        for node in nodes:
            node.config_set("maxclients", 10_000)
            node.close()
    assert {answer.verdict for [answer] in answers} == {"accepted"}
    assert gate.session.is_up
    await gate.session.close()


async def test_a_call_given_up_by_its_caller_leaves_no_answer_for_the_next_one(
    tcp_valkey: StoreServer,
) -> None:
    gate = await connected_gate(Settings(store_url=tcp_valkey.url, store_deadline_seconds=3))
    for number in range(20):
        given_up = asyncio.create_task(gate.maps.lookup(signature_hash("none")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        given_up.cancel()
        [answer] = await gate.flusher.flush([transaction(f"one-{number}")])
        assert answer.verdict == "accepted"
        assert await gate.maps.lookup(signature_hash(f"one-{number}")) is not None
    await gate.session.close()
