"""Clients that send or read as nobody should: others are served, memory stays, refusals are counted."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from urllib.parse import urlsplit

import psutil
import pytest

from tests.support.gate import GateProcess, gate_process, gate_program
from tests.support.load import transaction
from tests.support.servers import StoreServer
from tests.support.wire import NDJSON, Connection, ask_once, connected, figure, request_bytes

pytestmark = pytest.mark.slow

MIB = 1 << 20
POSTS = 25
HEADS, HEADERS = 1_950, 3_900
# Raw, these heads are 30 MiB; of each no more is kept than its first hundred lines.
GROWTH_BYTES = 40 * MIB
SLOTS, UNREAD = 20, 30
PORTION, PORTIONS = 64 * 1024, 200
NUMBERS = itertools.count()


@pytest.fixture(scope="module", params=["true", "false"], ids=["fast", "asgi"])
def gate(request: pytest.FixtureRequest) -> Iterator[GateProcess]:
    limits = {"max_in_flight_requests": SLOTS, "dedup_window_seconds": 60}
    # Slow bodies wait while others are served, however long that takes on a busy machine.
    deadlines = {"send_deadline_seconds": 2, "receive_deadline_seconds": 300}
    with gate_process(fast_path=request.param, **limits, **deadlines) as started:
        yield started


async def _assert_others_are_served(gate: GateProcess) -> None:
    async with connected(gate.url, 1) as [good]:
        for _ in range(POSTS):
            reply = await good.post(transaction(f"good-{next(NUMBERS)}"))
            assert reply.status == 200, reply


@asynccontextmanager
async def _sending(gate: GateProcess, start: bytes, portion: bytes) -> AsyncIterator[None]:
    """Two clients that send a head and then the same again and again, as fast as it is taken."""

    async def send() -> None:
        connection = await Connection.open(gate.url)
        try:
            with suppress(Exception):
                await connection.send(start)
                for _ in range(PORTIONS):
                    await connection.send(portion)
        finally:
            await connection.close()

    tasks = [asyncio.create_task(send()) for _ in range(2)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


CHUNKED = "POST {} HTTP/1.1\r\nHost: gate\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n"
STORMS = {
    "chunks of one byte": (CHUNKED.format("/transactions", NDJSON).encode(), b"1\r\n{\r\n" * 10_000),
    "chunks of empty lines": (CHUNKED.format("/transactions", NDJSON).encode(), b"2\r\n\r\n\r\n" * 9_000),
    "a body nobody reads": (
        CHUNKED.format("/livez", NDJSON).encode(),
        b"10000\r\n" + bytes(PORTION) + b"\r\n",
    ),
    "pipelined requests": (b"", b"GET /livez HTTP/1.1\r\nHost: gate\r\n" + b"a:\r\n" * 90 + b"\r\n"),
}


@pytest.mark.parametrize("storm", STORMS)
async def test_while_one_client_storms_others_are_served(gate: GateProcess, storm: str) -> None:
    async with _sending(gate, *STORMS[storm]):
        await _assert_others_are_served(gate)
    assert "Traceback" not in gate.log.read_text()


async def test_clients_that_ask_and_do_not_read_hold_no_request(gate: GateProcess) -> None:
    address = "127.0.0.1", urlsplit(gate.url).port
    ask = request_bytes("GET", "/openapi.json") * 200
    await ask_once(gate.url, "GET", "/openapi.json")  # made at the first request, for which others wait
    asking = []
    try:
        for _ in range(UNREAD):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(address)
            client.sendall(ask)
            asking.append(client)
        await _assert_others_are_served(gate)
        async with asyncio.timeout(60):
            while not await _cut_off(gate):
                await asyncio.sleep(0.1)
            # The first is cut off while others still send; no request of theirs stays under way.
            while await figure(gate.url, "tidegate_http_requests_in_flight") != 0:
                await asyncio.sleep(0.1)
    finally:
        for client in asking:
            client.close()


@pytest.mark.parametrize("media", ["application/json", NDJSON])
async def test_clients_that_send_their_bodies_slowly_hold_no_request(gate: GateProcess, media: str) -> None:
    begun = next(NUMBERS)
    async with connected(gate.url, UNREAD) as slow:
        for number, connection in enumerate(slow):
            path = "/feeds/slow" if number % 2 else "/transactions"
            body = b'{"signature":"slow-%d-%d"}\n' % (begun, number)
            await connection.send(request_bytes("POST", path, body[:-3], media, len(body)))
        await _assert_others_are_served(gate)
        for connection in slow:
            await connection.send(b'"}\n')
        for connection in slow:
            reply = await connection.answer()
            assert reply.status == 200, reply


async def _cut_off(gate: GateProcess) -> bool:
    reasons = ("send-timeout", "connection-bytes")
    counts = [
        await figure(gate.url, "tidegate_connection_refusals_total", reason=reason, begun="yes")
        for reason in reasons
    ]
    return sum(counts) > 0


async def test_many_headers_do_not_fill_memory(valkey: StoreServer) -> None:
    with gate_program(store_url=valkey.url) as gate:
        process = psutil.Process(gate.process.pid)
        before = process.memory_info().rss
        head = b"GET /livez HTTP/1.1\r\nHost: gate\r\n" + b"a:\r\n" * HEADERS
        address = "127.0.0.1", urlsplit(gate.url).port
        clients, most = [], 0
        try:
            for number in range(HEADS):
                clients.append(socket.create_connection(address, timeout=10))
                with suppress(ConnectionError):
                    clients[-1].sendall(head)
                if number % 50 == 0:
                    most = max(most, process.memory_info().rss)
            await _assert_others_are_served(gate)
            most = max(most, process.memory_info().rss)
            assert most - before < GROWTH_BYTES
            refused = await figure(
                gate.url, "tidegate_connection_refusals_total", reason="too-many-headers", begun="no"
            )
            assert refused == HEADS
        finally:
            for client in clients:
                client.close()
        assert "Traceback" not in gate.log.read_text()


@pytest.mark.parametrize("media", ["application/json", NDJSON])
async def test_a_client_that_leaves_leaves_no_traceback(gate: GateProcess, media: str) -> None:
    request = request_bytes("POST", "/transactions", b'{"signature":"left"}\n{"sig', media, 100)
    patched = request_bytes("PATCH", "/settings", b'{"leak', media, 100)
    for sent in (request, patched, request.replace(b"POST", b"GET"), request[:20]):
        for is_reset in (False, True):
            connection = await Connection.open(gate.url)
            await connection.send(sent)
            await asyncio.sleep(0.05)
            if is_reset:
                connection.reset()
            await connection.close()
    async with asyncio.timeout(60):
        while await figure(gate.url, "tidegate_http_requests_in_flight") > 0:
            await asyncio.sleep(0.02)
    assert "Traceback" not in gate.log.read_text()


def test_a_half_closed_client_gets_its_answer(gate: GateProcess) -> None:
    with closing(socket.create_connection(("127.0.0.1", urlsplit(gate.url).port), timeout=10)) as client:
        client.sendall(request_bytes("POST", "/transactions", b'{"signature":"half"}'))
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while more := client.recv(65536):
            answer += more
    assert b'"status":"accepted"' in answer
