"""What clients can hold of a gate is bounded, told when it is refused, and no other client's loss."""

import asyncio

import pytest
from structlog.testing import capture_logs

from app.server.limits import BOUNDS, Limits, State
from tests.support.http_service import LONG, SHORT, Service, served
from tests.unit.server.test_protocol import FOR_BODIES, GET, MALFORMED, NONSENSE, PATIENT, SIZE, chunked, post

pytestmark = pytest.mark.asyncio

KIB = 1024
COUNT = (431, "too-many-headers")
FEW = Limits(header_count=3, header_seconds=LONG, body_seconds=LONG)
LARGE = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(autouse=True, params=["asgi", "fast"])
def _fast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Service, "is_fast", request.param == "fast")


async def test_every_bound_is_a_setting_or_a_rule_and_holds_in_some_state() -> None:
    assert {bound.limit for bound in BOUNDS if bound.limit} | {"linger_seconds"} == set(
        Limits.__annotations__
    )
    assert all(bound.states and State.CLOSED not in bound.states for bound in BOUNDS)
    assert len({bound.reason for bound in BOUNDS}) == len(BOUNDS)


@pytest.mark.parametrize("end", [b"\r\n", b""])
async def test_headers_are_bounded_in_number_whole_or_not(end: bytes) -> None:
    lines = b"GET / HTTP/1.1\r\nHost: x\r\na:\r\na:\r\n"
    async with served(FEW) as (_, client):
        await client.send(lines + b"\r\n")
        assert await client.sizes(1) == [0]
        await client.send(lines + b"a:\r\n" + end)
        assert await client.refusal() == COUNT


async def test_trailers_are_bounded_in_number() -> None:
    async with served(FEW) as (_, client):
        await client.send(chunked(b"abc", end=b"0\r\na:\r\na:\r\na:\r\n\r\n"))
        assert await client.sizes(1) == [3]
        await client.send(chunked(b"abc", end=b"0\r\na:\r\na:\r\na:\r\na:\r\n\r\n"))
        assert await client.refusal() == COUNT


async def test_what_all_connections_hold_is_bounded_together() -> None:
    # Three quarters of it, 8 KiB, are for what is of no body.
    limits = Limits(header_seconds=LONG, body_seconds=LONG, held_bytes=32 * KIB // 3)
    async with served(limits) as (service, client):
        others = [await service.client() for _ in range(9)]
        for other in others[:-1]:
            await other.send(GET[:-2] + b"X: " + b"x" * 990)
        async with asyncio.timeout(LONG):
            while service.held < 8 * 1000:
                await asyncio.sleep(0.005)
        await others[-1].send(GET[:-2] + b"X: " + b"x" * 990)
        assert await others[-1].refusal(retry_after="1") == (503, "connection-bytes")
        await client.send(GET)
        assert await client.sizes(1) == [0]
        for other in others[:-1]:
            other.drop()
        await service.holds(1)
        assert service.held == 0


async def test_heads_and_unread_answers_leave_a_quarter_to_bodies() -> None:
    limits = Limits(header_seconds=LONG, body_seconds=LONG, held_bytes=64 * KIB)
    async with served(limits) as (service, client):
        held, late, body = service.http.held, await service.client(), post(b"x" * 8 * KIB)
        held.held = held.other = held.most_other  # what others have begun, or do not read
        await late.send(GET[:-1])
        assert await late.refusal(retry_after="1") == (503, "connection-bytes")
        await client.send(body[:-1], body[-1:], pause=0.05)
        assert await client.sizes(1) == [8 * KIB]
        held.held = held.most
        await client.send(body[:-1])
        assert await client.refusal(retry_after="1") == (503, "connection-bytes")
        await service.holds(0)
        assert (held.held, held.other) == (held.most, held.most_other)


@pytest.mark.parametrize(
    "request_", [post(b"x" * 20)[:-1], post(b"", b"/slow")], ids=["a slow body", "a slow answer"]
)
async def test_long_heads_of_requests_under_way_are_bounded_together(request_: bytes) -> None:
    """Eight heads of 8 KB fill a quarter of 256 KiB; each is of another client, or they would share half."""
    large = request_.replace(b"Host: x\r\n", b"Host: x\r\nX: " + b"x" * 7_400 + b"\r\n", 1)
    behind, rest = (GET, b"") if request_.endswith(b"\n") else (b"", b"x")
    limits = Limits(held_bytes=256 * KIB, header_seconds=LONG, body_seconds=LONG)
    async with served(limits) as (service, client):
        held = [await service.client(f"127.0.0.{n}") for n in range(2, 10)]
        for other in held:
            await other.send(large)
        async with asyncio.timeout(LONG):
            while service.calls < len(held):
                await asyncio.sleep(0.005)
        await client.send(large + behind)
        assert await client.refusal(retry_after="1") == (503, "connection-bytes")
        assert (service.calls, service.refused("connection-bytes")) == (8, 1 + bool(behind))
        [unfinished, small, late] = [await service.client() for _ in range(3)]
        await unfinished.send(large[:7_000], large[7_000:7_300], pause=0.02)
        await small.send(post(b"x" * 20))
        assert await small.sizes(1) == [20]
        service.go.set()
        for other in held:
            await other.send(rest)
            assert (await other.answer())[0] == 200
        assert (service.held, service.http.held.heads) == (7_300, 0)
        await late.send(large)
        await late.send(rest)
        assert (await late.answer())[0] == 200


async def test_long_heads_of_one_sender_leave_room_to_those_of_others() -> None:
    large = post(b"x", b"/slow", b"X: " + b"x" * 7_400 + b"\r\n")
    limits = Limits(held_bytes=256 * KIB, header_seconds=LONG, body_seconds=LONG)
    async with served(limits) as (service, client):
        senders = ["127.0.0.2"] * 5 + ["127.0.0.3"] * 3
        held = [await service.client(sender) for sender in senders]
        for number, other in enumerate(held, 1):
            await other.send(large)
            async with asyncio.timeout(LONG):
                while service.calls + service.refused("connection-bytes") < number:
                    await asyncio.sleep(0.005)
        for other in (held.pop(7), held.pop(4)):
            assert await other.refusal(retry_after="1") == (503, "connection-bytes")
        await client.send(large)
        service.go.set()
        for other in (*held, client):
            assert (await other.answer())[0] == 200
        await service.holds(7, tasks=True)
        assert (service.http.held.heads, service.http.held.senders) == (0, {})


async def test_what_came_of_a_request_is_held_no_longer_than_until_it_is_answered() -> None:
    large = post(b"x" * 20, b"/early", b"X: " + b"x" * 8 * KIB + b"\r\n")
    async with served(Limits(header_seconds=LONG, body_seconds=LONG)) as (service, client):
        await client.send(large[:-1])
        assert await client.sizes(1) == [0]
        await service.holds(2, tasks=True)
        assert service.held == 0


async def test_what_an_application_does_not_take_of_a_body_counts() -> None:
    async with served(Limits(header_seconds=LONG, body_seconds=LONG)) as (service, client):
        await client.send(post(b"x" * 40 * KIB, b"/slow")[:-1])
        async with asyncio.timeout(LONG):
            while service.held < 40 * KIB - 1:
                await asyncio.sleep(0.005)
        service.go.set()
        await client.send(b"x")
        assert await client.sizes(1) == [40 * KIB]
        assert service.held == 0


async def test_pipelined_requests_past_what_all_may_hold_go_and_the_one_begun_is_answered() -> None:
    async with served(Limits(held_bytes=8 * KIB, body_seconds=LONG)) as (service, client):
        await client.send(post(b"", b"/slow"), GET * 500, pause=0.02)
        await service.refuses("connection-bytes", 1)
        service.go.set()
        assert await client.sizes(1) == [0]
        assert await client.rest() == b""
        assert service.calls == 1


@pytest.mark.parametrize(
    ("behind", "number"),
    [
        (GET * 300, 300),
        (post(b"x" * 20) * 200, 200),
        (post(GET) * 200, 200),
        (chunked(b"abc") * 150, 150),
        (b"\r\n" + GET * 200 + b"GET / HT", 201),
    ],
)
async def test_each_request_that_is_dropped_is_counted_once_as_not_begun(behind: bytes, number: int) -> None:
    async with served(Limits(held_bytes=4 * KIB, body_seconds=LONG)) as (service, client):
        await client.send(post(b"", b"/slow"))
        async with asyncio.timeout(LONG):
            while service.calls < 1:
                await asyncio.sleep(0.005)
        await client.send(behind)
        await service.refuses("connection-bytes", 1)
        service.go.set()
        status, headers = await client.head()
        assert (status, headers["connection"]) == (200, "close")
        assert await client.some(int(headers["content-length"])) == b"0"
        assert await client.rest() == b""
        assert service.refused("connection-bytes", "no") == number
        assert service.refused("connection-bytes", "yes") == 0


async def test_a_client_that_has_ended_its_side_gets_its_answers() -> None:
    async with served(PATIENT) as (service, client):
        await client.send(post(b"ab", b"/slow") + post(b"abcd") + GET)
        client.end()
        await asyncio.sleep(SHORT)
        service.go.set()
        assert await client.sizes(3) == [2, 4, 0]
        assert await client.rest() == b""


@pytest.mark.parametrize("cut", [10, len(post(b"abcd")) - 1])
async def test_a_request_that_ends_too_early_is_told_so(cut: int) -> None:
    async with served(PATIENT) as (service, client):
        await client.send(post(b"abcd")[:cut])
        client.end()
        assert await client.refusal() == (400, "incomplete-request")
        await service.holds(0)


async def test_a_client_that_leaves_leaves_nothing_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with served(FOR_BODIES) as (service, _):
        with capture_logs() as logs:
            for path in (b"/", b"/slow", b"/early", b"/listening", b"/large"):
                for request in (
                    post(b"x" * 9000, path),
                    post(b"x" * 9000, path)[:-5],
                    chunked(b"abc", end=b""),
                ):
                    leaving = await service.client()
                    await leaving.send(request, pause=0.01)
                    leaving.drop()
            service.go.set()
            await service.holds(1)
        assert [entry for entry in logs if entry["log_level"] == "error" or "exc_info" in entry] == []
        assert caplog.records == []


async def test_an_application_that_fails_is_answered_for() -> None:
    async with served(PATIENT) as (service, client):
        with capture_logs() as logs:
            await client.send(post(b"", b"/broken"))
            assert await client.refusal() == (500, "internal")
        assert [entry["event"] for entry in logs] == ["request failed", "connections refused"]
        assert service.refused("internal", "yes") == 1


async def test_refusals_are_counted_each_and_told_in_the_log_once_in_a_while() -> None:
    async with served(PATIENT) as (service, _):
        with capture_logs() as logs:
            for _ in range(20):
                client = await service.client()
                await client.send(NONSENSE)
                assert await client.refusal() == MALFORMED
                client.drop()
        assert service.refused("malformed-request") == 20
        told = [entry for entry in logs if entry["event"] == "connections refused"]
        assert [(entry["reason"], entry["times"], entry["status"]) for entry in told] == [
            ("malformed-request", 1, 400)
        ]
        assert service.refused("header-too-large") == 0


async def test_a_refusal_of_what_was_begun_is_told_apart() -> None:
    async with served(FOR_BODIES) as (service, client):
        await client.send(post(b"x" * SIZE)[:-1])
        assert (await client.refusal())[1] == "body-timeout"
        assert (service.refused("body-timeout", "yes"), service.refused("body-timeout")) == (1, 0)


@pytest.mark.slow
async def test_a_body_in_the_smallest_chunks_is_read_in_turns_with_others() -> None:
    size = 200_000
    body = chunked(*[b"x"] * size)
    async with served(Limits()) as (service, client):
        other = await service.client()
        sending = asyncio.create_task(client.send(body))
        for _ in range(50):
            await other.send(post(b"ab"))
            assert await other.sizes(1) == [2]
        await sending
        assert await client.sizes(1) == [size]
