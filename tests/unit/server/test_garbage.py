"""A connection that has ended leaves nothing for Python's collector, which stops the loop while it looks."""

import gc
from collections.abc import Iterator

import pytest

from tests.support.garbage import only_what_comes_from_now_on
from tests.support.http_service import served
from tests.unit.server.test_protocol import GET, PATIENT, chunked, post

pytestmark = pytest.mark.asyncio

SENT = [
    b"no\r\n\r\n",
    GET[:-4] + b"x" * 600,
    chunked(b"abc", end=b"zz\r\n"),
    b"",
    GET[:20],
    GET * 3,
    chunked(b"abc"),
    chunked(b"abc", end=b""),
    post(b"x" * 100, b"/slow"),
    post(b"x" * 100)[:-1],
    post(b"x", b"/early"),
    post(b"x", b"/large"),
]


@pytest.fixture(scope="module", autouse=True)
def _only_what_comes_from_now_on() -> Iterator[None]:
    with only_what_comes_from_now_on():
        yield


@pytest.mark.parametrize("sent", SENT)
async def test_a_connection_that_has_ended_leaves_no_cycle(sent: bytes) -> None:
    async with served(PATIENT) as (service, client):
        await service.protocols(1)
        gc.collect()
        gc.disable()
        try:
            await client.send(sent, pause=0.05)
            client.drop()
            service.go.set()
            await service.holds(0)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = [type(one).__name__ for one in gc.garbage if type(one).__module__.startswith("app.")]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
        assert left == []
