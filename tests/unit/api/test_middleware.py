"""A place among the requests under way is held for the work, not for a client that sends or reads slowly."""

import asyncio

import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.api.addresses import NEVER_REFUSED
from app.api.middleware import STEP_ASIDE, RequestMiddleware
from app.metrics.catalogue import Metrics
from app.metrics.counters import RequestsInFlight

DEADLINE_SECONDS = 60.0  # of what takes a few turns of the event loop


def _scope(path: str, method: str = "GET") -> Scope:
    return {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _status(middleware: RequestMiddleware, scope: Scope, receive: Receive = _no_body) -> int:
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await middleware(scope, receive, send)
    return statuses[0]


async def test_a_client_that_does_not_read_holds_no_place_and_is_counted() -> None:
    metrics = Metrics(1, "0")
    middleware = RequestMiddleware(Response(b"x" * 1000), None, metrics, RequestsInFlight(1))
    reads = asyncio.Event()

    async def never_taken(message: Message) -> None:
        if message["type"] == "http.response.body":
            await reads.wait()

    stuck = [asyncio.create_task(middleware(_scope("/stats"), _no_body, never_taken)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in stuck)
    assert middleware.requests.count == 0
    labels = {"method": "GET", "route": "unmatched", "code": "200"}
    assert metrics.registry.get_sample_value("tidegate_http_requests_total", labels) == 3
    assert await _status(middleware, _scope("/stats")) == 200
    reads.set()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await asyncio.gather(*stuck)
    assert middleware.requests.count == 0
    assert metrics.registry.get_sample_value("tidegate_http_requests_total", labels) == 4


@pytest.mark.parametrize("path", sorted(NEVER_REFUSED))
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_probes_and_scrapes_are_answered_when_every_place_is_taken(path: str, method: str) -> None:
    work_ends = asyncio.Event()

    async def works(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/stats":
            await work_ends.wait()
        await Response()(scope, receive, send)

    metrics = Metrics(1, "0")
    middleware = RequestMiddleware(works, None, metrics, RequestsInFlight(1))
    working = asyncio.create_task(_status(middleware, _scope("/stats")))
    await asyncio.sleep(0)
    assert await _status(middleware, _scope(path, method)) == 200
    assert await _status(middleware, _scope("/memory")) == 503
    work_ends.set()
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await working == 200
    refused = {"method": "GET", "route": "unmatched", "code": "503"}
    assert metrics.registry.get_sample_value("tidegate_http_requests_total", refused) == 1


class _SlowBody:
    """A body whose client sends each part when it is told to."""

    def __init__(self, *parts: bytes) -> None:
        self._left, self._may_come = list(parts), asyncio.Queue[None]()

    def send_next(self) -> None:
        self._may_come.put_nowait(None)

    async def receive(self) -> Message:
        await self._may_come.get()
        return {"type": "http.request", "body": self._left.pop(0), "more_body": bool(self._left)}


async def test_a_client_that_sends_slowly_holds_no_place_and_is_not_refused_in_the_end() -> None:
    may_end, turn = asyncio.Event(), asyncio.Event()

    async def works(scope: Scope, receive: Receive, send: Send) -> None:
        while scope["method"] == "POST" and (await receive())["more_body"]:
            turn.set()
        await may_end.wait()
        await Response()(scope, receive, send)

    middleware = RequestMiddleware(works, None, Metrics(1, "0"), RequestsInFlight(1))
    bodies = [_SlowBody(b"a", b"b") for _ in range(3)]
    slow = [
        asyncio.create_task(_status(middleware, _scope("/transactions", "POST"), body.receive))
        for body in bodies
    ]
    await asyncio.sleep(0)
    assert middleware.requests.count == 0
    bodies[0].send_next()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await turn.wait()
    await asyncio.sleep(0)
    assert middleware.requests.count == 0
    working = asyncio.create_task(_status(middleware, _scope("/stats")))
    await asyncio.sleep(0)
    bodies[0].send_next()
    bodies[1].send_next()
    bodies[1].send_next()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while middleware.requests.count < 3:
            await asyncio.sleep(0)
    assert await _status(middleware, _scope("/stats")) == 503
    slow[2].cancel()
    may_end.set()
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await asyncio.gather(working, *slow[:2]) == [200, 200, 200]
        await asyncio.gather(slow[2], return_exceptions=True)
    assert middleware.requests.count == 0


async def test_who_stepped_aside_takes_no_place_again() -> None:
    async def works(scope: Scope, receive: Receive, send: Send) -> None:
        await send(STEP_ASIDE)
        await receive()
        assert middleware.requests.count == 0
        await Response()(scope, receive, send)

    middleware = RequestMiddleware(works, None, Metrics(1, "0"), RequestsInFlight(1))
    assert await _status(middleware, _scope("/stream")) == 200
    assert middleware.requests.count == 0


async def test_who_listens_on_after_its_answer_takes_no_place_again() -> None:
    async def works(scope: Scope, receive: Receive, send: Send) -> None:
        await Response()(scope, receive, send)
        await receive()

    middleware = RequestMiddleware(works, None, Metrics(1, "0"), RequestsInFlight(1))
    assert await _status(middleware, _scope("/stats")) == 200
    assert middleware.requests.count == 0


@pytest.mark.parametrize("client", ["sends slowly", "goes away"])
async def test_what_the_client_takes_to_send_its_body_is_no_time_of_the_gate(
    client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("app.api.middleware.time.perf_counter", lambda: now)
    left = [b"{", b'"', b"a"]

    async def a_byte_a_minute() -> Message:
        nonlocal now
        now += 60
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": bool(left)}
        return {"type": "http.disconnect"}

    async def works(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal now
        for _ in range(3 if client == "sends slowly" else 4):
            await receive()
            now += 0.25
        if client == "sends slowly":
            await Response()(scope, receive, send)

    async def send(_: Message) -> None:
        pass

    metrics = Metrics(1, "0")
    await RequestMiddleware(works, None, metrics, RequestsInFlight(1))(
        _scope("/transactions", "POST"), a_byte_a_minute, send
    )
    labels = {"method": "POST", "route": "unmatched"}
    name = "tidegate_http_request_duration_seconds_sum"
    assert metrics.registry.get_sample_value(name, labels) == 0.25
