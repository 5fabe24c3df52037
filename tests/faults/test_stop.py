"""A gate that is told to stop answers what it took on, or nothing at all; it never invents an answer."""

import asyncio
import json

import pytest

from app.server.config import GRACEFUL_SECONDS
from tests.support.gate import GateProcess, gate_program
from tests.support.history import Attempt
from tests.support.load import Feed, transaction
from tests.support.processes import wait_until
from tests.support.servers import StoreServer
from tests.support.wire import NDJSON, Connection, NoAnswerError, Reply, connected, figure, request_bytes

STOP_SECONDS = 60.0
ROUNDS = 2
DEADLINE_SECONDS = 1.0
# Answers that acknowledge nothing and ask for another try.
HONEST = {200, 503}


def _settings(store: StoreServer) -> dict[str, object]:
    return {
        "store_url": store.url,
        "dedup_window_seconds": 60,
        "store_deadline_seconds": DEADLINE_SECONDS,
    }


async def _stopped(gate: GateProcess) -> int:
    """SIGTERM; the exit code."""
    gate.process.terminate()
    return await asyncio.to_thread(gate.process.wait, STOP_SECONDS)


async def _until_answered(feed: Feed, requests: int) -> None:
    async with asyncio.timeout(STOP_SECONDS):
        while len(feed.processed()) < requests:
            await asyncio.sleep(0.01)


async def _until_found(connection: Connection, signature: str) -> None:
    async with asyncio.timeout(STOP_SECONDS):
        while (await connection.get(f"/transactions/{signature}")).status != 200:
            await asyncio.sleep(0.01)


async def _answer_or_end(connection: Connection) -> Reply | None:
    try:
        return await connection.answer()
    except NoAnswerError:
        return None


@pytest.mark.parametrize("fast_path", [True, False])
async def test_under_load_a_gate_that_stops_answers_honestly_and_exits_0(
    valkey: StoreServer, fast_path: bool
) -> None:
    feed, unanswered = Feed("stopped"), list[Attempt]()
    for _ in range(ROUNDS):
        with gate_program(**_settings(valkey), fast_path=fast_path) as gate:
            await feed.retry(gate.url, unanswered)
            since = len(feed.attempts)
            async with feed.running(gate.url):
                await _until_answered(feed, len(feed.processed()) + 1)
                assert await _stopped(gate) == 0
            unanswered = feed.unanswered(since)
            replies = [attempt.reply for attempt in feed.attempts[since:] if attempt.reply]
            assert {reply.status for reply in replies} <= HONEST
            for reply in replies:
                if reply.status != 200:
                    reply.assert_try_again()
            assert "Traceback" not in gate.log.read_text()
    with gate_program(**_settings(valkey)) as gate:
        await feed.retry(gate.url, unanswered)
        assert feed.answered("accepted")
        await feed.assert_honest(gate.url, valkey)


async def test_requests_waiting_for_a_store_that_hangs_are_answered_when_the_gate_stops(
    own_valkey: StoreServer,
) -> None:
    with gate_program(**_settings(own_valkey)) as gate:
        async with connected(gate.url, 20) as connections:
            own_valkey.pause()
            for number, connection in enumerate(connections):
                body = json.dumps(transaction(f"waiting-{number}")).encode()
                await connection.send(request_bytes("POST", "/transactions", body))
            stopping = asyncio.create_task(_stopped(gate))
            replies = await asyncio.gather(*map(_answer_or_end, connections))
            assert await stopping == 0
        own_valkey.resume()
        for reply in filter(None, replies):
            reply.assert_try_again()


@pytest.mark.parametrize("workers", [1, 2])
async def test_what_has_begun_when_the_patience_of_a_stop_ends_is_not_answered_as_refused(
    own_valkey: StoreServer, workers: int
) -> None:
    requests = [
        request_bytes("POST", "/cleanup"),
        request_bytes("POST", "/cleanup/emergency?map=observations"),
        request_bytes("PATCH", "/settings", b'{"signatures_limit":1234567}'),
        request_bytes("POST", "/transactions", b'[{"signature":"begun-1"},{"signature":"begun-2"}]'),
        request_bytes("POST", "/transactions", b' {"signature":"begun-3"}'),
    ]
    patient = {"store_deadline_seconds": GRACEFUL_SECONDS + 2, "fast_path": False, "workers": workers}
    with gate_program(**_settings(own_valkey) | patient) as gate:
        async with connected(gate.url, len(requests)) as connections:
            own_valkey.pause()
            for connection, request in zip(connections, requests, strict=True):
                await connection.send(request)
            async with asyncio.timeout(STOP_SECONDS):
                while await figure(gate.url, "tidegate_http_requests_in_flight") < len(requests):
                    await asyncio.sleep(0.05)
            stopping = asyncio.create_task(_stopped(gate))
            replies = await asyncio.gather(*map(_answer_or_end, connections))
            assert await stopping == 0
        own_valkey.resume()
        for request, reply in zip(requests, replies, strict=True):
            assert reply is not None, request
            assert reply.assert_try_again()["type"].endswith(":outcome-unknown"), (request, reply)
        assert "Traceback" not in gate.log.read_text()


async def test_an_upload_that_goes_on_for_ever_does_not_keep_a_gate_from_stopping(
    valkey: StoreServer,
) -> None:
    with gate_program(**_settings(valkey)) as gate:
        async with connected(gate.url, 1) as [connection]:
            head = request_bytes("POST", "/transactions", media=NDJSON, length=1 << 30)
            await connection.send(head)
            feeding = asyncio.create_task(_feed_lines(connection))
            async with connected(gate.url, 1) as [other]:
                await _until_found(other, "endless-3")
            assert await _stopped(gate) == 0
            feeding.cancel()
            reply = await _answer_or_end(connection)
        assert reply is None or reply.status in HONEST, reply
        assert "Traceback" not in gate.log.read_text()


@pytest.mark.parametrize("workers", [1, 2])
async def test_lines_whose_body_stays_open_are_answered_with_their_summary_when_a_gate_stops(
    valkey: StoreServer, workers: int
) -> None:
    with gate_program(**_settings(valkey), workers=workers) as gate:
        async with connected(gate.url, 2) as [lines, other]:
            head = b"POST /transactions HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n"
            await lines.send(head + f"Content-Type: {NDJSON}\r\n\r\n".encode())
            await lines.send(_http_chunk(b'{"signature":"open-1"}\n{"signature":"open-2"}\n'))
            await _until_found(other, "open-2")
            stopping = asyncio.create_task(_stopped(gate))
            problem = (await lines.answer()).assert_try_again()
            assert await stopping == 0
        assert problem["type"].endswith(":shutting-down"), problem
        assert (problem["accepted"], problem["duplicate"], problem["invalid"]) == (2, 0, 0), problem
        assert "behind those of this summary" in problem["detail"]
        assert "Traceback" not in gate.log.read_text()


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def _feed_lines(connection: Connection) -> None:
    number = 0
    while True:
        number += 1
        try:
            await connection.send(json.dumps({"signature": f"endless-{number}"}).encode() + b"\n")
        except NoAnswerError:
            return
        await asyncio.sleep(0.02)


async def test_a_body_that_stopped_half_way_does_not_keep_a_gate_from_stopping(valkey: StoreServer) -> None:
    with gate_program(**_settings(valkey)) as gate:
        async with connected(gate.url, 2) as [half, idle]:
            await half.send(request_bytes("POST", "/transactions", b'{"signature":', length=100))
            assert (await idle.get("/livez")).status == 200
            assert await _stopped(gate) == 0
            assert await idle.is_closed_by_peer()
            reply = await _answer_or_end(half)
        assert reply is None or reply.status in {400, 408, 503}, reply
        assert wait_until(lambda: gate.process.poll() is not None, STOP_SECONDS)
        assert "Traceback" not in gate.log.read_text()
