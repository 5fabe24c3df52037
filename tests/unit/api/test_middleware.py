"""A place among the requests under way is held for the work, not for the client that reads the answer."""

import asyncio

import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.api.contract import NEVER_REFUSED
from app.api.middleware import RequestMiddleware
from app.metrics.catalogue import Metrics
from app.metrics.counters import RequestsInFlight


def _scope(path: str, method: str = "GET") -> Scope:
    return {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _status(middleware: RequestMiddleware, scope: Scope) -> int:
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await middleware(scope, _no_body, send)
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
    assert await working == 200
    refused = {"method": "GET", "route": "unmatched", "code": "503"}
    assert metrics.registry.get_sample_value("tidegate_http_requests_total", refused) == 1


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
