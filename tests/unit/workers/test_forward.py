"""What a worker answers when the control plane does not: law 10, what may be done is not called refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from app.workers.pool.worker_config import SCRAPES_AT_ONCE
from app.workers.process.forward import Forward


@asynccontextmanager
async def control_plane_that_breaks_off(socket: Path) -> AsyncIterator[list[bytes]]:
    """It reads the head of each request, which the block gets, and closes without an answer."""
    heads: list[bytes] = []

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_unix_server(break_off, socket):
        yield heads


async def forwarded(socket: Path, method: str, path: str) -> httpx.Response:
    forward = Forward(str(socket))
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(forward), base_url="http://g") as client:
            return await client.request(method, path)
    finally:
        await forward.close()


@pytest.mark.parametrize(
    ("method", "path", "problem"),
    [
        ("POST", "/cleanup", "outcome-unknown"),
        ("PATCH", "/settings", "outcome-unknown"),
        ("GET", "/stats", "control-unavailable"),
    ],
)
async def test_a_call_that_may_be_done_is_answered_so_when_the_answer_is_lost(
    tmp_path: Path, method: str, path: str, problem: str
) -> None:
    async with control_plane_that_breaks_off(tmp_path / "control") as heads:
        answer = await forwarded(tmp_path / "control", method, path)
    assert [head.split()[0].decode() for head in heads] == [method]
    assert (answer.status_code, answer.json()["type"]) == (503, f"urn:tidegate:problem:{problem}")
    assert "retry-after" in answer.headers


@asynccontextmanager
async def control_plane_that_owes_scrapes(socket: Path) -> AsyncIterator[asyncio.Semaphore]:
    """It answers all but scrapes, of which the block gets a count."""
    scrapes = asyncio.Semaphore(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET /metrics "):
            scrapes.release()
            await reader.read()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_unix_server(serve, socket):
        yield scrapes


async def test_a_probe_waits_for_no_scrape(tmp_path: Path) -> None:
    socket = tmp_path / "control"
    async with control_plane_that_owes_scrapes(socket) as scrapes:
        forward = Forward(str(socket))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(forward), base_url="http://g") as client:
            owed = [asyncio.create_task(client.get("/metrics")) for _ in range(SCRAPES_AT_ONCE)]
            for _ in owed:
                await scrapes.acquire()
            assert (await client.get("/readyz")).status_code == 200
            for each in owed:
                each.cancel()
            await asyncio.gather(*owed, return_exceptions=True)
        await forward.close()


async def test_a_call_that_did_not_reach_the_control_plane_is_refused(tmp_path: Path) -> None:
    answer = await forwarded(tmp_path / "nobody", "POST", "/cleanup")
    assert answer.json()["type"] == "urn:tidegate:problem:control-unavailable"
