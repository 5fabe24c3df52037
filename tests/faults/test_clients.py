"""One client's misfortune or greed is not another's: resets, idle connections, full queues."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.support.gate import gate_process
from tests.support.history import Item, assert_stored
from tests.support.load import transaction
from tests.support.servers import StoreServer
from tests.support.wire import Connection, Reply, ask_once, connected, figure, request_bytes

ROUNDS = 4
CLIENTS = 100
IDLE_CONNECTIONS = 500
# Longer than a test pauses the store, so that what waits for it is answered in the end.
PATIENT = {"store_deadline_seconds": 20, "dedup_window_seconds": 60}


def _request(item: Item) -> bytes:
    return request_bytes("POST", "/transactions", json.dumps(item).encode())


async def _vanish(connection: Connection, item: Item, number: int) -> None:
    """Send a whole request or a part of one, and reset the connection."""
    request = _request(item)
    cut = (len(request), len(request) - 1, len(request) // 2, 10)[number % 4]
    await connection.send(request[:cut])
    await asyncio.sleep(0.002 * (number % 3))
    connection.reset()


async def _stay(connection: Connection, item: Item) -> Reply:
    return await connection.ask(_request(item))


def _assert_own_answer(item: Item, reply: Reply) -> None:
    assert reply.status == 200, reply
    assert reply.json()["signature"] == item["signature"]
    assert reply.json()["status"] == "accepted"


async def test_clients_that_reset_their_connection_never_disturb_anothers_answer(
    valkey: StoreServer,
) -> None:
    with gate_process(store_url=valkey.url, dedup_window_seconds=60) as gate:
        for round_ in range(ROUNDS):
            staying = [transaction(f"stays-{round_}-{number}") for number in range(CLIENTS)]
            leaving = [transaction(f"leaves-{round_}-{number}") for number in range(CLIENTS)]
            async with connected(gate.url, CLIENTS) as here, connected(gate.url, CLIENTS) as there:
                vanishing = [_vanish(there[at], item, at) for at, item in enumerate(leaving)]
                answers = [_stay(*pair) for pair in zip(here, staying, strict=True)]
                replies, _ = await asyncio.gather(asyncio.gather(*answers), asyncio.gather(*vanishing))
            for item, reply in zip(staying, replies, strict=True):
                _assert_own_answer(item, reply)
            await assert_stored(gate.url, staying)
            await _assert_retries_are_true(gate.url, leaving)
        await _assert_nothing_left_over(gate.url)
        assert "Traceback" not in gate.log.read_text()


async def _assert_retries_are_true(url: str, items: Sequence[Item]) -> None:
    """Whatever became of a request whose client went away, sent again it is answered and stored."""
    reply = await ask_once(url, "POST", "/transactions", list(items))
    assert reply.status == 200
    assert reply.json()["accepted"] + reply.json()["duplicate"] == len(items)
    await assert_stored(url, items)


async def _assert_nothing_left_over(url: str) -> None:
    async with asyncio.timeout(30):
        while await figure(url, "tidegate_http_requests_in_flight") > 0:
            await asyncio.sleep(0.02)


async def test_500_idle_connections_do_not_stop_service(valkey: StoreServer) -> None:
    with gate_process(store_url=valkey.url) as gate:
        async with connected(gate.url, IDLE_CONNECTIONS) as idle, connected(gate.url, 1) as [busy]:
            for connection in idle[::2]:
                assert (await connection.get("/livez")).status == 200
            for connection in idle[::5]:
                await connection.send(b"POST /transactions HTTP/1.1\r\nHost: ga")
            for number in range(100):
                item = transaction(f"busy-{number}")
                _assert_own_answer(item, await _stay(busy, item))
        assert (await ask_once(gate.url, "GET", "/readyz")).status == 200


@asynccontextmanager
async def _waiting(url: str, items: Sequence[Item]) -> AsyncIterator[list[asyncio.Task[Reply]]]:
    """Posts under way that the store, which is paused, keeps waiting."""
    async with connected(url, len(items)) as connections:
        tasks = [asyncio.create_task(_stay(*pair)) for pair in zip(connections, items, strict=True)]
        await _until_in_flight(url, len(items))
        yield tasks
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until_in_flight(url: str, count: int) -> None:
    async with asyncio.timeout(30):
        while await figure(url, "tidegate_http_requests_in_flight") < count:
            await asyncio.sleep(0.01)


async def _refusal(connection: Connection, document: object) -> str:
    problem = (await connection.post(document)).assert_try_again()
    return str(problem["type"]).rpartition(":")[2]


@pytest.mark.parametrize(
    "limit",
    [{"max_queued_items": 10, "max_batch_items": 10}, {"max_in_flight_requests": 10}],
    ids=["queue", "in flight"],
)
async def test_past_a_limit_further_posts_are_refused_while_those_before_it_wait_and_are_served(
    own_valkey: StoreServer, limit: dict[str, object]
) -> None:
    items = [transaction(f"early-{number}") for number in range(10)]
    with gate_process(store_url=own_valkey.url, **PATIENT, **limit) as gate:
        async with connected(gate.url, 1) as [late]:
            own_valkey.pause()
            async with _waiting(gate.url, items) as tasks:
                for number in range(20):
                    kind = await _refusal(late, transaction(f"late-{number}"))
                    assert kind == "overloaded"
                await _assert_probes_answer(late)
                assert not any(task.done() for task in tasks)
                own_valkey.resume()
                for item, task in zip(items, tasks, strict=True):
                    _assert_own_answer(item, await task)
            await assert_stored(gate.url, items)
            for number in range(20):
                item = transaction(f"late-{number}")
                _assert_own_answer(item, await _stay(late, item))


async def _assert_probes_answer(connection: Connection) -> None:
    for path in ("/livez", "/metrics", "/readyz"):
        assert (await connection.get(path)).status == 200


async def test_bytes_waiting_for_the_store_are_bounded_too(own_valkey: StoreServer) -> None:
    mib = 1 << 20
    limits = {"max_queued_bytes": 2 * mib, "max_body_bytes": 2 * mib, "max_inflated_bytes": 2 * mib}
    items: list[Item] = [{"signature": f"large-{at}", "payload": "x" * 250_000} for at in range(8)]
    with gate_process(store_url=own_valkey.url, **PATIENT, **limits) as gate:
        async with connected(gate.url, 1) as [late]:
            own_valkey.pause()
            async with _waiting(gate.url, items) as tasks:
                late_item = {"signature": "late", "payload": "x" * 200_000}
                assert await _refusal(late, late_item) == "overloaded"
                assert not any(task.done() for task in tasks)
                own_valkey.resume()
                for item, task in zip(items, tasks, strict=True):
                    _assert_own_answer(item, await task)
            assert (await late.post(late_item)).status == 200
