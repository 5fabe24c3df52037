"""Streams and consumers while things break: nothing is lost or doubled, or held for who does not read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from itertools import count
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from app.settings.model import Settings
from app.store.partitions import signature_hash
from tests.support.consumer_calls import Consumer, consumer
from tests.support.gate import GateProcess, api_client, gate_process, gate_program, running
from tests.support.proxy import Proxy
from tests.support.servers import StoreServer, redis_server, valkey_server
from tests.support.streams import EVENTS, Line, items, open_stream, post, raw_stream, signatures
from tests.support.worker_gates import figure

DEADLINE_SECONDS = 0.5
PATIENCE_SECONDS = 60.0
LARGE = "x" * 20_000


@pytest.fixture
def lasting_valkey() -> Iterator[StoreServer]:
    """A Valkey that a test may kill, and that has its data again when it is back."""
    with valkey_server(unix=True) as server:
        [launch] = server.launches
        server.kill()
        server.launches = [replace(launch, command=(*launch.command, "--appendonly", "yes"))]
        server.restart()
        yield server


def _gate_for(store: StoreServer, **more: object) -> dict[str, object]:
    settings = {
        "store_url": store.url,
        "store_deadline_seconds": DEADLINE_SECONDS,
        "dedup_window_seconds": 60,
    }
    return settings | more


async def _post_until_accepted(gate: GateProcess, batch: list[dict[str, object]]) -> None:
    """Post again and again, as a feed does, until the gate has an answer."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with httpx.AsyncClient(
                base_url=gate.url, trust_env=False, verify=False, timeout=60
            ) as client:
                if (await client.post("/transactions", json=batch)).is_success:
                    return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _outlasting(gate: GateProcess, count: int) -> AsyncIterator[asyncio.Task[list[Line]]]:
    """A stream that is open all the while; so many lines of it, or as many as come."""
    async with open_stream(gate.url) as stream:
        taking = asyncio.create_task(stream.take(count))
        yield taking
        await asyncio.wait([taking], timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("way", ["frozen", "connections", "killed"])
async def test_a_stream_goes_on_by_itself_when_the_store_is_back(
    lasting_valkey: StoreServer, way: str
) -> None:
    store = lasting_valkey
    with gate_process(**_gate_for(store)) as gate:
        async with _outlasting(gate, 60) as taking:
            for number in range(6):
                if number % 2:
                    _break(store, way)
                await _post_until_accepted(gate, items(f"through-{number}", 10))
        lines = taking.result()
        wanted = [f"through-{number}-{at}" for number in range(6) for at in range(10)]
        assert signatures(lines) == wanted
        async with open_stream(gate.url, from_="oldest", limit=60) as stream:
            assert await stream.rest() == lines


def _break(store: StoreServer, way: str) -> None:
    if way == "killed":
        store.kill()
        store.restart()
    elif way == "frozen":
        store.pause()
        store.resume()
    else:
        for node in store.nodes():
            with node:
                node.client_kill_filter(_type="normal", skipme=True)


async def test_while_the_store_is_down_streams_stay_open_and_leases_are_refused(
    lasting_valkey: StoreServer,
) -> None:
    store = lasting_valkey
    with gate_process(**_gate_for(store)) as gate:
        async with open_stream(gate.url) as stream, consumer(gate.url, "bot") as bot:
            await post(gate.url, items("before", 1))
            assert signatures([await stream.line()]) == ["before-0"]
            store.kill()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (refused := await bot.ask("lease")).status_code == 200:
                    pass
            assert refused.json()["type"] == "urn:tidegate:problem:store-unavailable"
            assert int(refused.headers["retry-after"]) >= 1
            with gate.client() as client:
                assert client.get("/stream").status_code == 503
            store.restart()
            await _post_until_accepted(gate, items("after", 1))
            assert signatures([await stream.line()]) == ["after-0"]


@pytest.mark.parametrize("starter", [valkey_server, redis_server])
async def test_an_answer_that_was_lost_is_a_duplicate_to_its_feed_and_comes_once_to_a_consumer(
    starter: Callable[[], StoreServer],
) -> None:
    with starter() as store:
        proxy = Proxy(int(urlsplit(store.url).port or 0))
        async with proxy.running():
            settings = Settings(store_url=proxy.url, store_deadline_seconds=10)
            async with running(settings) as runtime, api_client(runtime) as client:
                await _lose_an_answer(client, proxy)


async def _lose_an_answer(client: httpx.AsyncClient, proxy: Proxy) -> None:
    bot = Consumer(client, "bot")
    await client.post("/transactions", json=items("before", 1))  # the store has the script from now on
    assert signatures(await bot.drain()) == ["before-0"]
    proxy.cut_answers_to = signature_hash("lost-0")
    lost = await client.post("/transactions", json=items("lost", 2))
    assert (lost.status_code, proxy.cuts) == (503, 1), "nobody was told that they are stored"
    again = (await client.post("/transactions", json=items("lost", 2))).json()
    assert (again["accepted"], again["duplicate"]) == (0, 2)
    assert signatures(await bot.drain()) == ["lost-0", "lost-1"]


async def test_after_kill_9_another_gate_goes_on_from_the_cursor_and_has_the_leases(
    own_valkey: StoreServer,
) -> None:
    with gate_process(**_gate_for(own_valkey)) as first, gate_process(**_gate_for(own_valkey)) as second:
        async with open_stream(first.url) as stream, consumer(first.url, "bot") as bot:
            await post(second.url, items("one", 3))
            lines = await stream.take(3)
            lease = (await bot.lease())["lease"]
            first.kill()
            with pytest.raises(httpx.HTTPError):
                await stream.rest()
        await post(second.url, items("two", 3))
        async with open_stream(second.url, after=lines[1]["cursor"], limit=4) as stream:
            rest = await stream.rest()
        assert signatures(rest) == ["one-2", "two-0", "two-1", "two-2"]
        async with consumer(second.url, "bot") as bot:
            assert await bot.commit(lease) == "committed"
            assert signatures(await bot.drain()) == ["two-0", "two-1", "two-2"]


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_stop_ends_every_stream_with_a_whole_body_and_every_wait_with_an_answer(workers: int) -> None:
    with gate_process(workers=workers) as gate:
        async with AsyncExitStack() as opened:
            streams = [
                await opened.enter_async_context(open_stream(gate.url, headers))
                for headers in (None, EVENTS) * 5
            ]
            bot = await opened.enter_async_context(consumer(gate.url, "bot"))
            waiting = asyncio.create_task(bot.lease(wait_seconds=60))
            await post(gate.url, items("last", 2))
            lines = [await stream.take(2) for stream in streams[::2]]
            await _until_leases_were_asked_for(gate, 1)
            await asyncio.to_thread(gate.terminate)
            assert (await waiting)["lease"] is not None
            assert [signatures(each) for each in lines] == [["last-0", "last-1"]] * 5
            for stream in streams[::2]:
                assert await stream.rest() == [], "the end is a proper one"
            for stream in streams[1::2]:
                texts = [text async for text in stream.texts]
                assert [text.partition(": ")[0] for text in texts if text] == ["id", "data"] * 2
        assert gate.process.returncode == 0


async def test_a_waiting_caller_is_answered_when_the_gate_stops() -> None:
    with gate_process() as gate:
        async with consumer(gate.url, "bot") as bot:
            await bot.lease()
            waiting = asyncio.create_task(bot.ask("lease", wait_seconds=60))
            await _until_leases_were_asked_for(gate, 2)
            await asyncio.to_thread(gate.terminate)
            answer = await waiting
            assert (answer.status_code, answer.json()["lease"]) == (200, None)
        assert gate.process.returncode == 0


async def _until_leases_were_asked_for(gate: GateProcess, times: int) -> None:
    """Wait until calls have come so far that the store was asked, which a gate that stops does not begin."""
    called = "store_call_duration_seconds_count"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (figure(gate, called, script="lease_transactions") or 0) < times:
            await asyncio.sleep(0.01)


async def test_readers_that_never_read_cost_little_are_cut_off_and_keep_nobody_from_posting() -> None:
    readers, reader_bytes, numbers = 300, 64 * 1024, count()
    with gate_program(send_deadline_seconds=3) as gate:
        await _fill_caches(gate)
        process = psutil.Process(gate.process.pid)
        async with AsyncExitStack() as opened:
            before = peak = process.memory_info().rss
            for _ in range(readers):
                await opened.enter_async_context(raw_stream(gate.url, "?from=oldest"))
            async with asyncio.timeout(PATIENCE_SECONDS):
                while _refused(gate, "send-timeout", "yes") != readers:
                    await post(gate.url, items(f"unread-{next(numbers)}", 5, payload=LARGE))
                    peak = max(peak, process.memory_info().rss)
            assert peak - before <= readers * reader_bytes
        assert [_refused(gate, "connection-bytes", begun) for begun in ("no", "yes")] == [0, 0]
        assert (await post(gate.url, items("after", 1)))["accepted"] == 1


async def _fill_caches(gate: GateProcess) -> None:
    """Store 40 MB and read them, so that what readers share holds as much as it ever will."""
    for number in range(40):
        await post(gate.url, items(f"stored-{number}", 50, payload=LARGE))
    async with open_stream(gate.url, from_="oldest", limit=2000) as stream:
        await stream.rest()


def _refused(gate: GateProcess, reason: str, begun: str) -> float | None:
    return figure(gate, "connection_refusals_total", reason=reason, begun=begun)


async def test_a_stop_cuts_off_who_does_not_read() -> None:
    with gate_process() as gate:
        async with raw_stream(gate.url) as (reader, _):
            for number in range(20):
                await post(gate.url, items(f"unread-{number}", 50, payload=LARGE))
            await asyncio.to_thread(gate.terminate)
            body = b""
            with suppress(ConnectionError):
                while piece := await reader.read(1 << 20):
                    body += piece
            assert not body.endswith(b"0\r\n\r\n"), "it is not taken for whole"
        assert gate.process.returncode == 0
