"""A request whose head took the fast path before is answered as if the parser had seen it."""

import pytest

from app.server import protocol
from app.server.heads import Head
from tests.support.http_service import FastSizes, Service, served
from tests.unit.server.test_protocol import IMPATIENT, LATE_BODY, MALFORMED, NONSENSE, PATIENT, post

pytestmark = pytest.mark.asyncio


def _never(*_: object) -> Head:
    pytest.fail("it was parsed")


@pytest.fixture(autouse=True, params=["asgi", "fast"])
def fast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether there is a fast path; there must be no difference to a client."""
    is_fast: bool = request.param == "fast"
    monkeypatch.setattr(Service, "is_fast", is_fast)
    return is_fast


async def test_a_head_that_is_known_is_not_parsed_again(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(PATIENT) as (_, client):
        await client.send(post(b"ab"))
        assert await client.sizes(1) == [2]
        with monkeypatch.context() as patch:
            patch.setattr(protocol, "parse_head", _never)
            for body in (b"abcd", b"", b"x" * 200) if fast else ():
                await client.send(post(body))
                assert await client.sizes(1) == [len(body)]
        for body in (b"abc", b"ab"):  # the first is left to the application
            await client.send(post(body))
            assert await client.sizes(1) == [len(body)]


@pytest.mark.parametrize(
    ("request_", "sizes"),
    [
        (post(b"ab") + b"X", [2]),
        (post(b"ab", headers=b"Content-Length: 2\r\n"), []),
        (post(b"ab").replace(b": 2", b": +2"), []),
        (post(b"ab", headers=b"Transfer-Encoding: chunked\r\n"), []),
        (post(b"ab").replace(b"HTTP/1.1", b"HTTP/1.q"), []),
        (post(b"ab") + post(b"abcd") + NONSENSE, [2, 4]),
        (b"\r\n" + post(b"ab") + NONSENSE, [2]),
    ],
)
async def test_what_is_wrong_behind_a_head_that_is_known_is_refused(
    request_: bytes, sizes: list[int]
) -> None:
    async with served(PATIENT) as (_, client):
        await client.send(post(b"ab"))
        assert await client.sizes(1) == [2]
        await client.send(request_)
        assert await client.sizes(len(sizes)) == sizes
        if request_.endswith(b"X"):
            await client.send(NONSENSE)
        assert await client.refusal() == MALFORMED


async def test_a_body_that_is_cut_off_behind_a_head_that_is_known_has_a_deadline() -> None:
    async with served(IMPATIENT) as (_, client):
        await client.send(post(b"ab"))
        assert await client.sizes(1) == [2]
        await client.send(post(b"abcd")[:-1])
        assert await client.refusal() == LATE_BODY


async def test_a_header_that_stands_twice_is_left_to_those_who_see_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fast path would see `Bearer b` alone, and a proxy before the gate may have looked at `Bearer a`."""
    monkeypatch.setattr(FastSizes, "take", _never)
    async with served(PATIENT) as (_, client):
        for _ in range(2):
            await client.send(post(b"ab", headers=b"Authorization: Bearer a\r\nauthorization: Bearer b\r\n"))
            assert await client.sizes(1) == [2]
