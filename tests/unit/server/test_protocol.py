"""The HTTP protocol bounds what one client can hold, and answers past each limit with a problem document."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import cast

import msgspec
import pytest

from app.server.connection import WAITING_BYTES
from app.server.limits import Limits
from app.server.problem_json import problem_bytes
from tests.support.http_service import LONG, SHORT, Service, served

pytestmark = pytest.mark.asyncio

SIZE = 512
ONE_READ_BYTES = 256 * 1024  # of the event loop
PATIENT = Limits(SIZE, header_seconds=LONG, body_seconds=LONG, connections=8)
IMPATIENT = Limits(SIZE, header_seconds=SHORT, body_seconds=SHORT)
FOR_BODIES = Limits(SIZE, header_seconds=LONG, body_seconds=2 * SHORT, linger_seconds=4 * SHORT)
TOO_LARGE, MALFORMED = (431, "header-too-large"), (400, "malformed-request")
LATE_HEADER, LATE_BODY = (408, "header-timeout"), (408, "body-timeout")

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
NONSENSE, LARGE, UPGRADE = b"no\r\n\r\n", GET[:-4] + b"x" * SIZE, b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
LATE = [(GET[:-1], LATE_HEADER), (GET[:-2] + b"Content-Length: 1\r\n\r\n", LATE_BODY)]


def post(body: bytes, path: bytes = b"/", headers: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (path, headers, len(body), body)


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n", headers: bytes = b"") -> bytes:
    pieces = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
    head = b"POST / HTTP/1.1\r\nHost: x\r\n%bTransfer-Encoding: chunked\r\n\r\n" % headers
    return head + b"".join(pieces) + end


def header_of(size: int) -> bytes:
    return GET[:-2] + b"X: %b\r\n\r\n" % (b"x" * (size - len(GET) - 5))


@pytest.fixture(autouse=True, params=["asgi", "fast"])
def fast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether there is a fast path; there must be no difference to a client."""
    is_fast: bool = request.param == "fast"
    monkeypatch.setattr(Service, "is_fast", is_fast)
    return is_fast


async def test_a_problem_document_may_have_extensions() -> None:
    assert (
        msgspec.json.decode(problem_bytes(418, "teapot", "A teapot", "Use a pot.", spouts=1))["spouts"] == 1
    )


@pytest.mark.parametrize("before", [b"", GET, post(b"x" * 100), post(b"x" * 600), chunked(b"x" * 600)])
@pytest.mark.parametrize("cut", [-50, 0, 1, 300, SIZE - 2])
async def test_a_header_may_be_as_large_as_the_limit_and_not_a_byte_larger(before: bytes, cut: int) -> None:
    async with served(PATIENT) as (_, client):
        for size in (SIZE, SIZE + 1):
            data, end = before + header_of(size), len(before) + cut
            await client.send(data[:end], data[end:], pause=0.005)
            for _ in range(bool(before) + (size == SIZE)):
                assert (await client.answer())[0] == 200
        assert await client.refusal() == TOO_LARGE


@pytest.mark.parametrize("start", [header_of(SIZE)[:-4], b"", chunked(b"abc", end=b"0\r\nX: ")])
async def test_a_header_or_trailer_without_an_end_is_refused(start: bytes) -> None:
    async with served(PATIENT) as (service, client):
        with suppress(ConnectionError):  # it may be closed before all is sent
            await client.send(start, *[b"x" * SIZE if start else b"\r\n" * SIZE] * 4, pause=0.005)
        assert (await client.refusal(), service.calls) == (TOO_LARGE, start.startswith(b"POST"))


async def test_many_pipelined_requests_are_all_answered_in_order() -> None:
    lengths = [0, 1, 30, SIZE - 1, SIZE, SIZE + 1, 5000] * 5
    async with served(PATIENT) as (_, client):
        bodies = ((b"\r\n\r\n" * length)[:length] for length in lengths)
        await client.send(b"".join(post(body) + chunked(body + b"x") + GET for body in bodies))
        assert await client.sizes(3 * len(lengths)) == [size for n in lengths for size in (n, n + 1, 0)]


@pytest.mark.parametrize("limit", [64, 16384])
async def test_requests_are_understood_wherever_they_are_cut(limit: int) -> None:
    data = post(b"x" * 90) + chunked(b"\r\n\r\n", b"cd") + GET
    async with served(Limits(limit)) as (_, client):
        for cut in range(1, len(data)):
            await client.send(data[:cut], data[cut:], pause=0.001)
            assert await client.sizes(3) == [90, 6, 0]
        await client.send(*[data[at : at + 1] for at in range(len(data))])
        assert await client.sizes(3) == [90, 6, 0]


@pytest.mark.parametrize("build", [post, chunked])
async def test_a_large_body_comes_through_whole(build: Callable[[bytes], bytes]) -> None:
    async with served(PATIENT) as (_, client):
        await client.send(build(b"x" * 5 * 1024 * 1024) + GET)
        assert await client.sizes(2) == [5 * 1024 * 1024, 0]


async def test_a_later_header_has_a_deadline_and_an_idle_connection_has_none() -> None:
    async with served(IMPATIENT) as (_, client):
        for _ in range(2):
            await client.send(GET, pause=2 * SHORT)
            assert await client.sizes(1) == [0]
        await client.send(GET[:-1])
        assert await client.refusal() == LATE_HEADER


@pytest.mark.parametrize("body", [post(b"x" * 9)[:-1], post(b"x" * 9000)[:-1], chunked(b"a", end=b"5\r\nab")])
async def test_a_body_that_stops_is_refused_and_its_application_ends(body: bytes) -> None:
    async with served(FOR_BODIES) as (service, client):
        await client.send(body)
        assert await client.refusal() == LATE_BODY
        await service.holds(0)
        assert service.disconnects == 1


async def test_a_body_that_keeps_coming_may_take_longer_than_the_deadline() -> None:
    async with served(FOR_BODIES) as (_, client):
        await client.send(post(b"x" * 20)[:-20], *[b"x"] * 20, pause=SHORT / 5)
        assert await client.sizes(1) == [20]


@pytest.mark.parametrize("start", [GET[:-2] + b"X:", chunked(b"abc", end=b"5;")])
async def test_trickled_headers_and_chunk_extensions_do_not_move_a_deadline(start: bytes) -> None:
    async with served(IMPATIENT) as (_, client):
        trickle = asyncio.create_task(client.send(start, *[b"x"] * 400, pause=SHORT / 10))
        assert await client.refusal() == (LATE_HEADER if start.startswith(b"GET") else LATE_BODY)
        trickle.cancel()


@pytest.mark.parametrize(("path", "trickled"), [(b"/streaming", 1), (b"/early", 900)])
async def test_a_body_that_does_not_end_closes_a_begun_answer(path: bytes, trickled: int) -> None:
    async with served(FOR_BODIES) as (service, client):
        pieces = post(b"x" * 999, path)[:-999], *[b"x"] * trickled
        trickle = asyncio.create_task(client.send(*pieces, pause=SHORT / 10))
        assert len((await client.rest()).partition(b"\r\n\r\n")[2]) == 1
        await service.holds(0)
        trickle.cancel()


@pytest.mark.parametrize("size", [10, 5 * 1024 * 1024])
async def test_a_slow_application_is_not_the_clients_fault(size: int) -> None:
    async with served(FOR_BODIES) as (service, client):
        sending = asyncio.create_task(client.send(post(b"x" * size, b"/slow")))
        await asyncio.sleep(4 * SHORT)
        service.go.set()
        await sending
        assert await client.sizes(1) == [size]


async def test_a_client_that_waits_for_100_continue_has_a_deadline_from_then_on() -> None:
    async with served(Limits(SIZE, body_seconds=4 * SHORT)) as (service, client):
        await client.send(post(b"x", b"/slow", b"Expect: 100-continue\r\n")[:-1], pause=5 * SHORT)
        service.go.set()
        assert (await client.answer())[0] == 100
        await client.send(b"x")
        assert await client.sizes(1) == [1]


async def test_a_body_that_ends_after_the_answer_leaves_the_keep_alive_timeout_in_force() -> None:
    async with served(PATIENT, keep_alive=SHORT) as (service, client):
        await client.send(post(b"x", b"/early")[:-1])
        assert await client.sizes(1) == [0]
        await client.send(b"x")
        assert await client.rest() == b""
        await service.holds(0)


async def test_one_connection_too_many_is_told_to_retry_until_another_closes() -> None:
    async with served(PATIENT) as (service, client):
        clients = [client] + [await service.client() for _ in range(PATIENT.connections - 1)]
        for _ in range(2):
            assert await (await service.client()).refusal(retry_after="1") == (503, "too-many-connections")
        clients.pop().drop()
        await service.holds(PATIENT.connections - 1)
        clients.append(await service.client())
        for each in clients:
            await each.send(GET)
            assert await each.sizes(1) == [0]
        await service.forgets_those_too_many()


async def test_who_sends_on_a_byte_at_a_time_after_a_refusal_is_let_go_of() -> None:
    async with served(Limits(SIZE, linger_seconds=4 * SHORT)) as (service, client):
        await client.send(NONSENSE)
        assert (await client.answer())[0] == MALFORMED[0]
        with pytest.raises(ConnectionError):  # each comes before the deadline between two bytes
            await client.send(*[b"x"] * 40 * round(LONG), pause=SHORT / 4)
        await service.holds(0)


@pytest.mark.parametrize("sent", [b"", b"G", b"\r\n", GET[:-2], NONSENSE, b"\x16\x03\x01", chunked(end=b"z")])
async def test_what_does_not_become_a_request_is_refused_and_does_not_stay(sent: bytes) -> None:
    async with served(IMPATIENT) as (service, client):
        await client.send(sent)
        assert await client.refusal() == (LATE_HEADER if GET.startswith(sent.strip()) else MALFORMED)
        await service.holds(0)


@pytest.mark.parametrize(("second", "refusal"), [(NONSENSE, MALFORMED), (LARGE, TOO_LARGE), *LATE])
@pytest.mark.parametrize("between", [b"", GET])
async def test_a_refusal_waits_for_its_turn(between: bytes, second: bytes, refusal: tuple[int, str]) -> None:
    async with served(IMPATIENT) as (service, client):
        await client.send(post(b"", b"/listening") + between)
        await client.send(second, pause=2 * SHORT if (second, refusal) in LATE else 0.02)
        service.go.set()
        assert await client.sizes(1 + bool(between)) == [0] * (1 + bool(between))
        assert await client.refusal() == refusal


async def test_an_upgrade_is_ignored_and_the_request_served_with_its_body() -> None:
    async with served(PATIENT) as (_, client):
        await client.send(GET[:-2] + UPGRADE + b"\r\n" + GET + post(GET, headers=UPGRADE))
        await client.send(
            GET[:-2] + UPGRADE + b"Content-Length: 0\r\n\r\n" + chunked(b"abc", headers=UPGRADE)
        )
        assert await client.sizes(5) == [0, 0, len(GET), 0, 3]
        await client.send(GET[:-2] + b"Upgrade: a\0b\r\n\r\n")
        assert await client.refusal() == MALFORMED


async def test_a_post_that_comes_in_one_read_takes_the_fast_path_and_no_other_does(fast: bool) -> None:
    async with served(PATIENT) as (service, client):
        await client.send(post(b"ab"))
        assert await client.sizes(1) == [2]
        assert (service.calls, service.fast.calls if service.fast else 0) == (int(not fast), int(fast))
        before = service.calls
        others = (post(b"ab", path=path) for path in (b"/other", b"//", b"/?a#b"))
        for request in (post(b"abc"), *others, GET):
            await client.send(request)
            await client.answer()
        assert service.calls == before + 5
        await client.send(post(b"ab")[:-1], b"b", pause=0.02)
        assert await client.sizes(1) == [2]
        assert service.calls == before + 6, "it came in two"


async def test_answers_of_the_fast_path_keep_their_place_among_pipelined_ones() -> None:
    async with served(PATIENT) as (_, client):
        await client.send(post(b"ab") + post(b"abc") + post(b"abcd") + GET)
        assert await client.sizes(4) == [2, 3, 4, 0]
        await client.send(post(b"ab") + NONSENSE)
        assert await client.sizes(1) == [2]
        assert await client.refusal() == MALFORMED


@pytest.mark.parametrize("rest", [b"1\r\na\r\nZZ\r\n", b"1\r\n{XX\r\n", b"0\r\nContent-Length: 3\r\n\r\n"])
@pytest.mark.parametrize("is_late", [False, True])
async def test_a_body_that_cannot_be_read_is_refused_and_not_begun_if_that_is_known(
    rest: bytes, is_late: bool
) -> None:
    request = chunked(end=rest)
    cut = len(request) - len(rest) if is_late else len(request)
    async with served(PATIENT) as (service, client):
        await client.send(request[:cut], pause=0.02 if is_late else 0)
        await client.send(request[cut:])
        assert await client.refusal() == MALFORMED
        await service.holds(0)
        assert (service.calls, service.disconnects) == (is_late, is_late)


@pytest.mark.parametrize("request_", [GET, post(b"ab"), chunked(b"abc")], ids=["GET", "POST", "chunked"])
async def test_pipelined_requests_wait_unparsed_and_few_of_them(request_: bytes) -> None:
    async with served(PATIENT) as (service, client):
        [protocol] = await service.protocols(1)
        flood = asyncio.create_task(client.send(post(b"", b"/slow"), request_ * 50_000, pause=0.01))
        async with asyncio.timeout(LONG):
            while cast("asyncio.ReadTransport", protocol.transport).is_reading():
                await asyncio.sleep(0.005)
        await asyncio.sleep(SHORT)
        assert service.calls == 1
        most = len(protocol.received.raw)
        service.go.set()
        for _ in range(1000):
            assert (await client.answer())[0] == 200
            most = max(most, len(protocol.received.raw))
        assert WAITING_BYTES <= most <= WAITING_BYTES + ONE_READ_BYTES
        flood.cancel()


async def test_a_client_that_closes_after_its_post_is_told_that_the_connection_ends() -> None:
    async with served(PATIENT) as (_, client):
        await client.send(post(b"ab", headers=b"Connection: close\r\n"))
        status, headers, body = await client.answer()
        assert (status, headers["connection"], body) == (200, "close", b"2")
        assert await client.rest() == b""
