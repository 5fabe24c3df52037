"""A thousand requests that wait for the control plane cost no more each than a few, and stop nobody else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message
from structlog.testing import capture_logs

from app.workers.pool.worker_config import SCRAPES_AT_ONCE
from app.workers.process import control_connections
from app.workers.process.control_connections import GIVEN_UP_A_TURN, ControlConnections
from app.workers.process.forward import Forward

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
REQUEST: dict[str, Any] = {
    "type": "http",
    "method": "GET",
    "path": "/metrics",
    "raw_path": b"/metrics",
    "query_string": b"",
    "headers": [],
}


@asynccontextmanager
async def control_plane(socket: Path, answer: Answer) -> AsyncIterator[None]:
    """It reads one request after another of each connection, and answers so."""

    serving: set[asyncio.Task[None]] = set()

    async def keep_answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await answer(writer)

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(keep_answering(reader, writer)))

    async with await asyncio.start_unix_server(serve, socket):
        yield
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def ok(writer: asyncio.StreamWriter) -> None:
    writer.write(OK)


async def never(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def status_of_scrape(forward: Forward) -> int:
    """What a scrape is answered."""
    statuses: list[int] = []

    async def receive() -> Message:
        raise AssertionError("a GET has no body")

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await forward(dict(REQUEST), receive, send)
    return statuses[0]


async def test_the_pool_is_given_no_more_requests_than_it_has_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, most, passed_on = 0, 0, httpx.AsyncHTTPTransport.handle_async_request

    async def counted(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await passed_on(transport, request)
        finally:
            under_way -= 1

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", counted)
    monkeypatch.setattr(control_connections, "WAIT_SECONDS", 600.0)  # all get an answer, however slowly
    async with control_plane(tmp_path / "control", ok):
        forward = Forward(str(tmp_path / "control"))
        statuses = await asyncio.gather(*(status_of_scrape(forward) for _ in range(100)))
        await forward.close()
    assert statuses == [200] * 100
    assert most == SCRAPES_AT_ONCE


async def test_those_that_waited_for_too_long_are_given_up_a_few_in_a_turn(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "control", never):
        forward = Forward(str(tmp_path / "control"))
        begun = [asyncio.create_task(status_of_scrape(forward)) for _ in range(SCRAPES_AT_ONCE)]
        await asyncio.sleep(0)  # they have the connections
        waiting = [asyncio.create_task(status_of_scrape(forward)) for _ in range(300)]
        answered = [0]
        with capture_logs() as events:
            while answered[-1] < len(waiting):
                await asyncio.sleep(0)
                answered.append(sum(task.done() for task in waiting))
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun)
        await forward.close()
    assert {task.result() for task in waiting} == {503}
    assert max(after - before for before, after in pairwise(answered)) <= GIVEN_UP_A_TURN
    assert len(events) == 1


@pytest.mark.parametrize("is_granted", [True, False], ids=["as its turn comes", "before"])
async def test_a_request_that_is_cancelled_keeps_nobody_from_a_connection(
    tmp_path: Path, is_granted: bool
) -> None:
    may_answer = asyncio.Semaphore(0)

    async def answer(writer: asyncio.StreamWriter) -> None:
        await may_answer.acquire()
        writer.write(OK)

    async with control_plane(tmp_path / "control", answer):
        connections = ControlConnections(str(tmp_path / "control"), 1)
        first, second, third = (
            asyncio.create_task(connections.ask(httpx.Request("GET", "http://control/"))) for _ in range(3)
        )
        while connections.waiting < 2:
            await asyncio.sleep(0)
        if is_granted:
            first.add_done_callback(lambda _: second.cancel())
        else:
            second.cancel()
        may_answer.release()
        may_answer.release()
        await asyncio.gather(first, third)
        await asyncio.gather(second, return_exceptions=True)
        assert second.cancelled()
        await connections.close()
