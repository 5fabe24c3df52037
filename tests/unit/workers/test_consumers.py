"""Streams and consumers in a gate with workers: each answers them itself, of what any of them accepted."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from tests.support.gate import GateProcess
from tests.support.http_calls import problem
from tests.support.streams import items, open_stream, post, signatures
from tests.support.worker_gates import (
    NAMES,
    await_reports,
    client_at,
    figure,
    kill_worker,
    pids,
    two_workers,
)

pytestmark = pytest.mark.server

ROUTES = (("GET", "/stream"), ("POST", "/consumers/{name}/lease"), ("GET", "/consumers"))


@pytest.fixture(scope="module")
def gate() -> Iterator[GateProcess]:
    with two_workers() as started:
        yield started


async def test_a_stream_has_what_any_worker_accepted(gate: GateProcess) -> None:
    async with open_stream(gate.url) as stream:
        for name in NAMES:
            with client_at(gate, name) as client:
                assert client.post("/transactions", json=items(f"by-{name}", 2)).is_success
        names = signatures(await stream.take(4))
    assert names == [f"by-{name}-{at}" for name in NAMES for at in range(2)]


@pytest.mark.parametrize("name", NAMES)
def test_each_worker_checks_and_answers_by_itself(gate: GateProcess, name: str) -> None:
    with client_at(gate, name) as client:
        problem(client.get("/stream?form=now"), 422, "did you mean `from`?")
        problem(client.get("/stream?limit=0"), 422, "limit: ")
        problem(client.post("/consumers/a~b/lease"), 422, "the name of a consumer")
        problem(client.post("/consumers/bot/lease?limit=0"), 422, "limit: ")
        problem(client.post("/consumers/bot/leese"), 404, "did you mean /consumers/bot/lease?")
        problem(client.delete("/stream"), 405, "GET, HEAD")
        assert client.head("/stream").status_code == 200
        assert client.head("/consumers").status_code == 200
        assert client.get("/consumers").json()["consumers"] is not None


async def test_what_one_worker_leased_another_commits(gate: GateProcess) -> None:
    with client_at(gate, NAMES[0]) as one, client_at(gate, NAMES[1]) as two:
        one.post("/consumers/shared/lease?from=now")
        two.post("/transactions", json=items("leased", 3))
        lease = one.post("/consumers/shared/lease").json()
        assert signatures(lease["transactions"]) == ["leased-0", "leased-1", "leased-2"]
        assert two.post("/consumers/shared/commit", json={"lease": lease["lease"]}).json() == {
            "status": "committed"
        }
        assert one.post("/consumers/shared/commit", json={"lease": lease["lease"]}).json() == {
            "status": "repeated"
        }


async def test_who_waits_at_one_worker_is_woken_by_a_post_to_another(gate: GateProcess) -> None:
    with client_at(gate, NAMES[0]) as one, client_at(gate, NAMES[1]) as two:
        one.post("/consumers/woken/lease?from=now")
        asked = _asked(gate)
        waiting = asyncio.create_task(asyncio.to_thread(one.post, "/consumers/woken/lease?wait_seconds=60"))
        async with asyncio.timeout(60):
            while await asyncio.to_thread(_asked, gate) == asked:
                await asyncio.sleep(0.02)
        two.post("/transactions", json=items("woken", 1))
        assert signatures((await waiting).json()["transactions"]) == ["woken-0"]


def _asked(gate: GateProcess) -> float:
    return figure(gate, "store_call_duration_seconds_count", script="lease_transactions") or 0


async def test_they_are_counted_once_by_route(gate: GateProcess) -> None:
    def counts() -> list[float]:
        return [figure(gate, "http_requests_total", method=m, route=r, code="200") or 0 for m, r in ROUTES]

    await asyncio.to_thread(await_reports, gate)
    before = counts()
    async with open_stream(gate.url, from_="oldest", limit=1) as stream:
        await post(gate.url, items("counted", 1))
        await stream.rest()
    with gate.client() as client:
        assert client.post("/consumers/counted/lease").is_success
        assert client.get("/consumers").is_success
    await asyncio.to_thread(await_reports, gate)
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [1, 1, 1]


async def test_after_the_death_of_its_worker_a_reader_goes_on_elsewhere_from_its_cursor() -> None:
    with two_workers() as gate:
        async with open_stream(gate.url) as stream:
            await post(gate.url, items("first", 2))
            lines = await stream.take(2)
            for name in NAMES:
                kill_worker(gate, name)
            with pytest.raises(httpx.HTTPError):
                await stream.rest()
        async with asyncio.timeout(60):
            while len(pids(gate)) < 3 or not gate.is_ready():
                await asyncio.sleep(0.05)
        await post(gate.url, items("second", 2))
        async with open_stream(gate.url, after=lines[0]["cursor"], limit=3) as stream:
            assert signatures(await stream.rest()) == ["first-1", "second-0", "second-1"]
