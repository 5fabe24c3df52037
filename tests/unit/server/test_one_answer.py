"""What the application does and what the client is told agree, whatever comes of the rest of a body."""

import asyncio
from typing import NamedTuple

import pytest

from tests.support.http_service import LONG, Client, Service, served
from tests.unit.server.test_protocol import GET, PATIENT, post

pytestmark = pytest.mark.asyncio

CHUNKED = b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"


class Case(NamedTuple):
    """A request that begins well, and what is wrong with its rest."""

    begins: bytes
    rest: bytes
    ends: bool
    slug: str


CASES = {
    "cut off": Case(
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabc", b"", True, "incomplete-request"
    ),
    "malformed": Case(b"POST %b HTTP/1.1\r\n" + CHUNKED, b"no size\r\n", False, "malformed-request"),
}


@pytest.fixture(autouse=True, params=["asgi", "fast"])
def _fast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Service, "is_fast", request.param == "fast")


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


async def _break_off_at_work(service: Service, client: Client, case: Case, path: bytes) -> None:
    """Send the rest while the application works; later answers tell that it has come."""
    await client.send(case.begins % path)
    async with asyncio.timeout(LONG):
        while not service.calls:
            await asyncio.sleep(0.005)
    await client.send(case.rest)
    if case.ends:
        client.end()
    other = await service.client()
    for _ in range(3):
        await other.send(GET)
        await other.answer()


def _refusals(service: Service, slug: str) -> tuple[int, int]:
    return service.refused(slug, "no"), service.refused(slug, "yes")


async def test_what_the_application_answers_without_the_rest_is_the_answer(case: Case) -> None:
    async with served(PATIENT) as (service, client):
        await _break_off_at_work(service, client, case, b"/busy")
        service.go.set()
        assert await client.sizes(1) == [0]
        assert await client.rest() == b""
        assert _refusals(service, case.slug) == (0, 0)


async def test_an_application_that_asks_for_the_rest_hears_that_the_client_is_gone(case: Case) -> None:
    async with served(PATIENT) as (service, client):
        await _break_off_at_work(service, client, case, b"/slow")
        service.go.set()
        assert await client.refusal() == (400, case.slug)
        await service.holds(1)
        assert (_refusals(service, case.slug), service.disconnects) == ((0, 1), 1)


@pytest.mark.parametrize("ends", [False, True])
async def test_an_application_may_tell_what_it_has_done_before_the_rest_was_refused(ends: bool) -> None:
    async with served(PATIENT) as (service, client):
        await client.send(b"POST /telling HTTP/1.1\r\n" + CHUNKED)
        async with asyncio.timeout(LONG):
            while not service.calls:
                await asyncio.sleep(0.005)
        if ends:
            client.end()
        else:
            await client.send(b"no size\r\n")
        status, headers = await client.head()
        assert (status, headers["connection"], await client.rest()) == (400, "close", b"3")
        slug = "incomplete-request" if ends else "malformed-request"
        assert (_refusals(service, slug), service.disconnects) == ((0, 1), 1)


async def test_an_application_that_has_not_begun_does_not_begin() -> None:
    async with served(PATIENT) as (service, client):
        await client.send(post(b"abcd", b"/busy")[:-1])
        client.end()
        service.go.set()
        status, _, _ = await client.answer()
        await service.holds(0)
        assert (status == 200) == bool(service.calls)
