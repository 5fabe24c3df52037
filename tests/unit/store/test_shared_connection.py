"""Calls that share a connection: each gets its own reply, whatever happens to the others or to the bytes."""

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.errors import StoreTimeout
from app.settings.model import Settings
from app.store.partitions import signature_hash
from app.store.reconnecting_node import Node
from app.store.shared_connection import MOST_UNSENT_BYTES, AnswerLost, NotConnected
from app.store.store_url import parse_address
from tests.support.deliver import connected_gate, transaction
from tests.support.proxy import Proxy
from tests.support.servers import StoreServer, make_tls, redis_server, valkey_server

pytestmark = pytest.mark.server

DEADLINE_SECONDS = 30.0
CALLS = 24


@pytest.fixture(scope="module", params=["plain", "tls"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    folder: Path = tmp_path_factory.mktemp("tls")
    with valkey_server() if request.param == "plain" else redis_server(tls=make_tls(folder)) as found:
        yield found


@pytest.fixture(params=[2, 3])
def url(request: pytest.FixtureRequest, server: StoreServer) -> str:
    """The store's URL, with RESP2 or RESP3."""
    return f"{server.url}{'&' if '?' in server.url else '?'}protocol={request.param}"


@asynccontextmanager
async def _proxied(url: str) -> AsyncIterator[tuple[str, Proxy]]:
    """A proxy before the store, and the URL by which it is reached through it."""
    port = parse_address(url).port
    proxy = Proxy(port)
    async with proxy.running():
        yield url.replace(f":{port}", f":{proxy.port}"), proxy


@asynccontextmanager
async def _behind(url: str) -> AsyncIterator[tuple[Node, Proxy]]:
    """A node that is reached through a proxy, with its connection open."""
    async with _proxied(url) as (through, proxy):
        node = Node(parse_address(through), DEADLINE_SECONDS)
        await node.call("PING")
        yield node, proxy
        node.close()


async def _started(*calls: Coroutine[Any, Any, Any]) -> list[asyncio.Task[Any]]:
    """Start calls in this order; each has been given to the connection when this returns."""
    tasks = [asyncio.create_task(call) for call in calls]
    await asyncio.sleep(0)
    return tasks


async def test_calls_at_once_go_over_one_connection_and_get_their_own_replies(url: str) -> None:
    async with _behind(url) as (node, proxy):
        replies = await asyncio.gather(*(node.call("ECHO", number) for number in range(CALLS)))
        assert replies == [b"%d" % number for number in range(CALLS)]
        assert proxy.connections == 1


async def test_commands_and_replies_cut_into_single_bytes_are_put_together(url: str) -> None:
    async with _proxied(url) as (through, proxy):
        proxy.slices = True
        node = Node(parse_address(through), DEADLINE_SECONDS)
        calls = [("ECHO", "one"), ("EVAL", "return {1, {'two', false}}", 0), ("ECHO", 3)]
        replies = await asyncio.gather(*(node.call(*call) for call in calls))
        assert replies == [b"one", [1, [b"two", None]], b"3"]
        node.close()


@pytest.mark.parametrize("seed", range(3))
async def test_calls_that_are_cancelled_shift_no_reply(url: str, seed: int) -> None:
    """All of them are under way when some are cancelled, the first and the last among these."""
    async with _behind(url) as (node, proxy):
        proxy.hold_answers()
        calls = await _started(*(node.call("ECHO", number) for number in range(CALLS)))
        given_up = {0, CALLS - 1, *random.Random(seed).sample(range(CALLS), CALLS // 2)}
        for number in given_up:
            calls[number].cancel()
        await asyncio.sleep(0)
        later = await _started(*(node.call("ECHO", f"later {number}") for number in range(CALLS)))
        await proxy.has_held(1)
        proxy.pass_on()
        for number in set(range(CALLS)) - given_up:
            assert await calls[number] == b"%d" % number
        assert await asyncio.gather(*later) == [b"later %d" % number for number in range(CALLS)]
        assert all(calls[number].cancelled() for number in given_up)
        assert proxy.connections == 1, "nobody's connection was closed for that"


async def test_a_call_that_is_cancelled_when_half_of_its_reply_has_come_shifts_no_reply() -> None:
    with valkey_server() as plain:  # half of a record of TLS would be no reply at all
        await _give_up_after_half_of_the_reply(plain.url)


async def _give_up_after_half_of_the_reply(url: str) -> None:
    async with _behind(url) as (node, proxy):
        proxy.hold_answers()
        first, second = await _started(node.call("ECHO", "first"), node.call("ECHO", "second"))
        await proxy.has_held(5)
        proxy.pass_on(5)
        assert node._link is not None  # noqa: SLF001  what has come shows nowhere else
        while not node._link._reader.has_data():  # noqa: SLF001
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        proxy.pass_on()
        assert await second == b"second"
        assert await node.call("ECHO", "third") == b"third"


async def test_lookups_that_are_given_up_leave_each_claim_and_lookup_its_own_answer(url: str) -> None:
    async with _proxied(url) as (through, proxy):
        gate = await connected_gate(Settings(store_url=through, store_deadline_seconds=DEADLINE_SECONDS))
        mark = random.randbytes(8).hex()
        names = [f"{mark}-{number}" for number in range(4)]
        await gate.flusher.flush([transaction(name, source=name) for name in names])
        proxy.hold_answers()
        tasks = await _started(
            *(gate.maps.lookup(signature_hash(name)) for name in names),
            gate.flusher.flush([transaction(f"{mark}-new")]),
            gate.flusher.flush([transaction(names[0])]),
        )
        tasks[0].cancel()
        tasks[2].cancel()
        await proxy.has_held(1)
        proxy.pass_on()
        for number in (1, 3):
            found = await tasks[number]
            assert [sighting.source for sighting in found.sightings] == [names[number]]
        [new], [known] = await tasks[4], await tasks[5]
        assert (new.verdict, known.verdict) == ("accepted", "duplicate")
        assert gate.session.is_up
        await gate.session.close()


async def test_a_swallowed_answer_fails_every_call_under_way_at_the_deadline_and_closes_the_connection(
    url: str,
) -> None:
    async with _proxied(url) as (through, proxy):
        node = Node(parse_address(through), 1)
        await node.call("PING")
        proxy.swallows_answers = True
        calls = await _started(*(node.call("ECHO", number) for number in range(3)))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {TimeoutError}
        assert len({id(outcome) for outcome in outcomes}) == 3, "each has an error of its own"
        await proxy.none_open()
        proxy.swallows_answers = False
        assert await node.call("ECHO", "after") == b"after"
        node.close()


async def test_the_deadline_holds_on_a_connection_that_was_idle_for_longer(url: str) -> None:
    async with _proxied(url) as (through, proxy):
        node = Node(parse_address(through), 1)
        await node.call("PING")
        assert node._link is not None  # noqa: SLF001  when its timer has gone by shows nowhere else
        while node._link._timer is not None:  # noqa: SLF001
            await asyncio.sleep(0.01)
        proxy.swallows_answers = True
        with pytest.raises(TimeoutError):
            await node.call("ECHO", "lost")
        node.close()


async def test_answers_that_come_after_the_deadline_are_those_of_nobody(url: str) -> None:
    async with _proxied(url) as (through, proxy):
        settings = Settings(store_url=through, store_deadline_seconds=4, dedup_window_seconds=60)
        gate = await connected_gate(settings)
        name = random.randbytes(8).hex()
        proxy.hold_answers()
        with pytest.raises(StoreTimeout):
            await gate.flusher.flush([transaction(name)])
        assert not gate.session.is_up
        proxy.pass_on()
        await gate.session.probe(gate.maps.sizes)
        [answer] = await gate.flusher.flush([transaction(name)])
        assert answer.verdict == "duplicate", "it had been carried out"
        await gate.session.close()


async def test_all_calls_under_way_fail_when_the_connection_is_cut_and_the_next_ones_share_a_new_one(
    url: str,
) -> None:
    async with _behind(url) as (node, proxy):
        proxy.hold_answers()
        calls = await _started(*(node.call("ECHO", number) for number in range(CALLS)))
        await proxy.has_held(1)
        proxy.pass_on(1)
        proxy.cut()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {AnswerLost}
        again = await asyncio.gather(*(node.call("ECHO", number) for number in range(CALLS)))
        assert again == [b"%d" % number for number in range(CALLS)]
        assert proxy.connections == 2


async def test_while_too_much_is_unsent_nothing_more_is_given_to_the_connection(url: str) -> None:
    async with _behind(url) as (node, proxy):
        proxy.stop_reading()
        texts = [bytes([65 + number]) * MOST_UNSENT_BYTES for number in range(20)]
        sent: list[asyncio.Task[Any]] = []
        link = node._link  # noqa: SLF001  what is unsent shows nowhere else
        assert link is not None
        assert link._transport is not None  # noqa: SLF001
        while link.has_room:
            sent += await _started(node.call("ECHO", texts[len(sent)]))
        held = link._transport.get_write_buffer_size()  # noqa: SLF001
        assert MOST_UNSENT_BYTES < held < 3 * MOST_UNSENT_BYTES, "the bound, and the call that passed it"
        waiting = await _started(*(node.call("ECHO", number) for number in range(CALLS)))
        waiting[3].cancel()
        await asyncio.sleep(0)
        assert link._transport.get_write_buffer_size() == held  # noqa: SLF001
        proxy.read_on()
        assert await asyncio.gather(*sent) == texts[: len(sent)]
        del waiting[3]
        assert await asyncio.gather(*waiting) == [b"%d" % number for number in range(CALLS) if number != 3]


async def test_what_waits_to_be_sent_goes_over_the_next_connection_when_this_one_breaks(url: str) -> None:
    """Of what was given to the connection nobody knows whether it was carried out; these were not.

    The last that was given was not either: the kernel had no room for all of it.
    """
    async with _behind(url) as (node, proxy):
        proxy.stop_reading()
        link = node._link  # noqa: SLF001
        assert link is not None
        sent: list[asyncio.Task[Any]] = []
        while link.has_room:
            sent += await _started(node.call("ECHO", b"x" * MOST_UNSENT_BYTES))
        waiting = await _started(*(node.call("ECHO", number) for number in range(CALLS)))
        proxy.cut()
        proxy.read_on()
        *outcomes, last = await asyncio.gather(*sent, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {AnswerLost}
        assert last == b"x" * MOST_UNSENT_BYTES
        assert await asyncio.gather(*waiting) == [b"%d" % number for number in range(CALLS)]


async def test_a_connection_that_is_being_opened_is_closed_with_the_node(url: str) -> None:
    async with _proxied(url) as (through, proxy):
        node = Node(parse_address(through), DEADLINE_SECONDS)
        proxy.hold_answers()
        [call] = await _started(node.call("PING"))
        await proxy.has_held(1)  # of the handshake or the login
        node.close()
        with pytest.raises(NotConnected, match="were closed"):
            await call
        await proxy.none_open()


async def test_messages_nobody_asked_for_are_not_taken_for_replies(server: StoreServer) -> None:
    """RESP3 tells of keys that have changed, for example, between the replies."""
    node = Node(parse_address(f"{server.url}{'&' if '?' in server.url else '?'}protocol=3"), DEADLINE_SECONDS)
    [other] = server.nodes()
    with other:
        await node.call("CLIENT", "TRACKING", "ON", "BCAST", "NOLOOP")
        for number in range(CALLS):
            other.set(f"watched-{number}", number)
            assert await node.call("GET", f"watched-{number}") == b"%d" % number
    node.close()
