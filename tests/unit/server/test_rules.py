"""The rules of RFC 9112 that the parser leaves out, and what follows from each for a client."""

import pytest

from tests.support.http_service import SHORT, Service, served
from tests.unit.server.test_protocol import GET, IMPATIENT, MALFORMED, PATIENT, chunked, post

pytestmark = pytest.mark.asyncio

LINE = b"GET / HTTP/1.1\r\n"
HOST, OTHER = (400, "invalid-host"), (501, "not-implemented")
VERSION, EXPECTATION = (505, "unsupported-version"), (417, "unknown-expectation")
CODED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: %b\r\n\r\n0\r\n\r\n"


@pytest.fixture(autouse=True, params=["asgi", "fast"])
def _fast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Service, "is_fast", request.param == "fast")


REFUSED = [
    (LINE + b"\r\n", HOST),
    (LINE + b"Host: a\r\nHost: a\r\n\r\n", HOST),
    (LINE + b"Host: a\r\nhOST: b\r\n\r\n", HOST),
    (LINE + b"Host: a b\r\n\r\n", HOST),
    (LINE + b"Host: a/b\r\n\r\n", HOST),
    (LINE + b"Host: a:b\r\n\r\n", HOST),
    (LINE + b"Host: user@a\r\n\r\n", HOST),
    (LINE + b"Host: [::1\r\n\r\n", HOST),
    (b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", HOST),
    (post(b"ab").replace(b"Host: x\r\n", b""), HOST),
    (CODED % b"gzip, chunked", OTHER),
    (CODED % b"gzip", MALFORMED),
    (CODED % b"chunked, gzip", MALFORMED),
    (CODED % b"chunked, chunked", MALFORMED),
    (CODED % b"identity", MALFORMED),
    ((CODED % b"chunked").replace(b"/1.1", b"/1.0"), MALFORMED),
    (post(b"ab", headers=b"Transfer-Encoding: chunked\r\n"), MALFORMED),
    (post(b"ab", headers=b"Content-Length: 2\r\n"), MALFORMED),
    (GET.replace(b"/1.1", b"/2.0"), VERSION),
    (GET.replace(b"/1.1", b"/1.2"), VERSION),
    (GET.replace(b"/1.1", b"/0.9"), VERSION),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VERSION),
    (GET.replace(b"HTTP/", b"RTSP/"), MALFORMED),
    (GET.replace(b"HTTP/", b"ICE/"), MALFORMED),
    (GET.replace(b"HTTP/1.1", b"HTTP/11"), MALFORMED),
    (GET.replace(b"GET /", b"GET  /"), MALFORMED),
    (GET.replace(b"GET / ", b"GET / a "), MALFORMED),
    (GET.replace(b"GET", b"G(T"), MALFORMED),
    (GET.replace(b"GET", b"BREW"), OTHER),
    (GET.replace(b"GET", b"get"), OTHER),
    (GET.replace(b"GET /", b"CONNECT x:80"), OTHER),
    (GET.replace(b"\r\n", b"\n"), MALFORMED),
    (b"GET / HTTP/1.1\nHost: x", MALFORMED),
    (GET[:-2] + b"X: a\r\n b\r\n\r\n", MALFORMED),
    (GET[:-2] + b"X : a\r\n\r\n", MALFORMED),
    (GET[:-2] + b"X: a\0\r\n\r\n", MALFORMED),
    (GET.replace(b"GET /", b"GET x"), MALFORMED),
    (post(b"ab", headers=b"Expect: a miracle\r\n"), EXPECTATION),
    (post(b"ab", headers=b"Expect: 100-continue, more\r\n"), EXPECTATION),
]


@pytest.mark.parametrize(("request_", "refusal"), REFUSED)
async def test_what_breaks_a_rule_is_refused_however_it_comes_and_counted_once(
    request_: bytes, refusal: tuple[int, str]
) -> None:
    async with served(PATIENT) as (service, whole):
        before = service.refused(refusal[1])
        await whole.send(request_)
        assert await whole.refusal() == refusal
        piecemeal = await service.client()
        end = request_.find(b"\r\n\r\n") + 4
        await piecemeal.send(*[request_[at : at + 1] for at in range(end if end > 3 else len(request_))])
        assert await piecemeal.refusal() == refusal
        assert (service.calls, service.refused(refusal[1]) - before) == (0, 2)


TAKEN = [
    (GET, 0),
    (GET.replace(b"Host: x", b"Host:"), 0),
    (GET.replace(b"Host: x", b"Host: a.b-c_d:80"), 0),
    (GET.replace(b"Host: x", b"Host: [2001:db8::1]:80"), 0),
    (GET.replace(b"GET /", b"GET http://x/a?b"), 0),
    (GET.replace(b"GET /", b"OPTIONS *"), 0),
    (post(b"ab", headers=b"Expect: 100-Continue\r\n"), 2),
    (post(b"abc").replace(b"Content-Length: ", b"content-length:"), 3),
    (chunked(b"abc", end=b"0\r\nX: y\r\n\r\n").replace(b": chunked", b": Chunked"), 3),
    (chunked(b"abc").replace(b"\r\n\r\n3\r\n", b'\r\n\r\n3;a=b;c="d"\r\n'), 3),
    (b"\r\n\r\n" + GET, 0),
    (GET.replace(b"Host: x", b"Host: x \t"), 0),
    (GET[:-2] + b"Expect: 100-continue\r\n\r\n", 0),
]


@pytest.mark.parametrize(("request_", "size"), TAKEN)
async def test_what_keeps_the_rules_is_served_however_it_comes(request_: bytes, size: int) -> None:
    async with served(PATIENT) as (_, client):
        for pieces in ([request_], [request_[at : at + 1] for at in range(len(request_))]):
            await client.send(*pieces)
            status, _, body = await client.answer()
            if status == 100:
                status, _, body = await client.answer()
            assert (status, int(body)) == (200, size)


async def test_a_request_of_http_1_0_may_leave_out_the_host_and_is_the_last() -> None:
    async with served(PATIENT) as (_, client):
        await client.send(b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab")
        status, headers, body = await client.answer()
        assert (status, headers["connection"], body) == (200, "close", b"2")
        assert await client.rest() == b""


async def test_an_empty_line_after_a_request_starts_no_deadline() -> None:
    async with served(IMPATIENT) as (_, client):
        for stray in (b"\r\n", b"\r\n\r\n", b"\r"):
            await client.send(post(b"ab"))
            assert await client.sizes(1) == [2]
            await client.send(stray, pause=2 * SHORT)
        await client.send(b"\n" + GET)
        assert await client.sizes(1) == [0]


async def test_the_answer_to_head_has_the_length_of_a_body_and_none() -> None:
    async with served(PATIENT) as (_, client):
        await client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.head())[1]["content-length"] == "1"
        await client.send(GET)
        assert await client.sizes(1) == [0]
        await client.send(b"HEAD / HTTP/3.0\r\nHost: x\r\n\r\n")
        assert await client.refusal() == VERSION
