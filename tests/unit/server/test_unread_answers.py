"""A client that does not read its answer, or sends on after it, holds little and is cut off in the end."""

import asyncio
import http.client
import socket
from contextlib import suppress

import pytest

from app.server.limits import Limits
from tests.support.http_service import LARGE_BYTES, LONG, SHORT, Service, served
from tests.unit.server.test_protocol import GET, PATIENT, post

pytestmark = pytest.mark.asyncio

KIB = 1024
LARGE = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(autouse=True, params=["asgi", "fast"])
def _fast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Service, "is_fast", request.param == "fast")


async def _unread(service: Service, request: bytes = LARGE) -> socket.socket:
    """A client that asks for a large answer and reads none of it."""
    asking = socket.socket()
    asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
    asking.connect(("127.0.0.1", service.port))
    asking.sendall(request)
    return asking


async def test_an_answer_that_is_cut_off_counts_as_begun_and_those_behind_it_as_not() -> None:
    async with served(Limits(held_bytes=LARGE_BYTES // 2, send_seconds=LONG)) as (service, _):
        asking = await _unread(service, LARGE + GET * 7)
        await service.refuses("connection-bytes", 1, "yes")
        await service.holds(1)
        assert service.refused("connection-bytes", "yes") == 1
        assert service.refused("connection-bytes", "no") == 7
        asking.close()


async def test_a_client_that_does_not_read_holds_no_request_and_is_cut_off() -> None:
    async with served(Limits(send_seconds=4 * SHORT, held_bytes=4 * LARGE_BYTES)) as (service, client):
        asking = [await _unread(service) for _ in range(3)]
        async with asyncio.timeout(LONG):
            while service.calls < len(asking):
                await asyncio.sleep(0.005)
        assert service.running == 0, "the application does not wait for readers"
        await service.refuses("send-timeout", len(asking), "yes")
        await service.holds(1)
        assert service.held == 0
        await client.send(GET)
        assert await client.sizes(1) == [0]
        for one in asking:
            one.close()


async def test_a_client_that_reads_slowly_gets_all_of_its_answer() -> None:
    async with served(Limits(send_seconds=8 * SHORT)) as (service, client):
        await client.send(LARGE)
        status, headers = await client.head()
        size = int(headers["content-length"])
        assert (status, size) == (200, LARGE_BYTES)
        for _ in range(16):  # twice as long as the deadline
            await client.read(size // 16)
            await asyncio.sleep(SHORT)
        assert service.refused("send-timeout", "yes") == 0
        await client.send(GET)
        assert await client.sizes(1) == [0]


async def test_a_client_that_reads_too_slowly_for_the_kernel_to_ask_for_more_is_not_cut_off() -> None:
    async with served(Limits(send_seconds=8 * SHORT)) as (service, client):
        asking = await _unread(service)
        asking.setblocking(False)
        # In all 256 KiB, of some megabytes that the kernel holds; more than two deadlines long.
        for _ in range(16):
            await asyncio.get_running_loop().sock_recv(asking, 16 * KIB)
            await asyncio.sleep(SHORT)
        assert service.refused("send-timeout", "yes") == 0
        assert service.held > 0
        asking.close()
        await client.send(GET)
        assert await client.sizes(1) == [0]


async def test_an_early_answer_that_ends_the_connection_may_be_read_slowly() -> None:
    early = b"POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nConnection: close\r\n\r\n"
    async with served(Limits(send_seconds=LONG)) as (service, client):
        await client.send(early)
        _, headers = await client.head()
        size = int(headers["content-length"])
        for _ in range(8):  # four times as long as the client may take to close
            await client.read(size // 8)
            await asyncio.sleep(service.http.linger_seconds / 2)


@pytest.mark.parametrize("request_bytes", [LARGE, LARGE[:-2] + b"Connection: close\r\n\r\n"])
async def test_unsent_answers_are_among_what_is_bounded(request_bytes: bytes) -> None:
    async with served(Limits(held_bytes=LARGE_BYTES // 2, send_seconds=LONG)) as (service, _):
        asking = await _unread(service, request_bytes)
        await service.refuses("connection-bytes", 1, "yes")
        await service.holds(1)
        asking.close()


@pytest.mark.parametrize("headers", [{}, {"Connection": "close"}])
async def test_an_answer_before_the_end_of_a_large_body_is_read(headers: dict[str, str]) -> None:
    async with served(PATIENT) as (service, _):

        def ask() -> tuple[int, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=4 * LONG)
            try:
                connection.request("POST", "/early", b"x" * (20 * KIB * KIB), headers)
                response = connection.getresponse()
                return response.status, response.read()
            finally:
                connection.close()

        assert [await asyncio.to_thread(ask) for _ in range(10)] == [(200, b"0")] * 10


async def test_what_is_sent_after_an_answer_is_dropped_within_bounds_and_not_held() -> None:
    limits = Limits(drained_bytes=256 * KIB, body_seconds=LONG)
    async with served(limits) as (service, client):
        head = post(b"", b"/early").replace(b"Length: 0", b"Length: 99999999")
        with suppress(ConnectionError):
            await client.send(head, *[b"x" * 64 * KIB] * 100)
        await service.refuses("unread-body", 1, "yes")
        await service.holds(0)
