"""What the server tells an application that goes on behind the body, and how an answer is cut off."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.server.exchange import CUT_OFF, GONE, HALF_CLOSED, LISTEN, STOPPING
from app.server.limits import Limits
from tests.support.http_service import LONG, Client, Service, served

pytestmark = pytest.mark.server

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
KIB = 1024


class Listening(Service):
    """An application that streams until it is told something, and notes all that it is told."""

    told: list[str]

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002  has no body
        self.told, self.written = [], 0
        if scope["path"] == "/flood":
            await self._flood(send)
            return
        ended = asyncio.Event()

        def on_news(news: str) -> None:
            self.told.append(news)
            if news == STOPPING or (scope["path"] == "/once" and news == HALF_CLOSED):
                ended.set()

        await self._begin(send)
        if scope["path"] == "/late":
            await self.go.wait()
        await send({"type": LISTEN, "on_news": on_news})
        await ended.wait()
        last = {"type": "http.response.body", "body": b"end"}
        await send({"type": CUT_OFF} if scope["path"] == "/cut" else last)

    async def _begin(self, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": True})

    async def _flood(self, send: Any) -> None:
        """Write more than a client takes that does not read."""
        await self._begin(send)
        for _ in range(4 * 1024 // 16):
            await send({"type": "http.response.body", "body": bytes(16 * KIB), "more_body": True})
            self.written += 16 * KIB


@pytest.fixture
async def listening(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Listening, Client]]:
    monkeypatch.setattr("tests.support.http_service.Service", Listening)
    async with served(Limits(header_seconds=LONG, body_seconds=LONG, send_seconds=LONG)) as (service, client):
        assert isinstance(service, Listening)
        yield service, client


async def test_a_client_that_ends_its_side_is_told_of_and_gets_the_rest(
    listening: tuple[Listening, Client],
) -> None:
    service, client = listening
    await client.send(HEAD.replace(b"/ ", b"/once ", 1))
    await client.head()
    client.end()
    assert (await client.rest()).endswith(b"3\r\nend\r\n0\r\n\r\n")
    assert service.told == [HALF_CLOSED]


async def test_a_stop_is_told_of_once_however_often_it_is_asked_for(
    listening: tuple[Listening, Client],
) -> None:
    service, client = listening
    await client.send(HEAD)
    await client.head()
    [protocol] = await service.protocols(1)
    protocol.shutdown()
    protocol.shutdown()
    assert (await client.rest()).endswith(b"3\r\nend\r\n0\r\n\r\n")
    assert service.told == [STOPPING]


async def test_who_listens_late_is_told_of_what_has_happened(listening: tuple[Listening, Client]) -> None:
    service, client = listening
    await client.send(HEAD.replace(b"/ ", b"/late ", 1))
    await client.head()
    [protocol] = await service.protocols(1)
    client.end()
    async with asyncio.timeout(LONG):
        while not protocol._is_half_closed:  # noqa: SLF001  nothing tells
            await asyncio.sleep(0.01)
    protocol.shutdown()
    assert service.told == []
    service.go.set()
    await client.rest()
    assert service.told == [HALF_CLOSED, STOPPING]


async def test_a_client_that_has_gone_is_told_of(listening: tuple[Listening, Client]) -> None:
    service, client = listening
    await client.send(HEAD)
    await client.head()
    [protocol] = await service.protocols(1)
    protocol.transport.abort()
    await service.holds(0, tasks=False)
    assert service.told == [GONE]
    service.server.server_state.tasks.copy().pop().cancel()


async def test_an_answer_that_is_cut_off_is_not_taken_for_whole_and_is_counted(
    listening: tuple[Listening, Client],
) -> None:
    service, client = listening
    await client.send(HEAD.replace(b"/ ", b"/cut ", 1))
    await client.head()
    [protocol] = await service.protocols(1)
    protocol.shutdown()
    assert not (await client.rest()).endswith(b"0\r\n\r\n")
    assert service.refused("unfinished-answer", begun="yes") == 1
    assert service.refused("internal", begun="yes") == 0


async def test_of_an_answer_without_a_length_the_kernel_keeps_little(
    listening: tuple[Listening, Client],
) -> None:
    service, client = listening
    await client.send(HEAD.replace(b"/ ", b"/flood ", 1))
    [protocol] = await service.protocols(1)
    async with asyncio.timeout(LONG):
        while not protocol._writer.is_paused:  # noqa: SLF001  the client's side has no room for more
            await asyncio.sleep(0.01)
    assert service.written < 1024 * KIB, "of 4 MiB; left to itself it takes more than 2"
