"""Every request that is answered 503 is counted: once by its reason, and its transactions once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from app.api.middleware import RequestMiddleware
from app.errors import MapFull, MemoryPressure, Overloaded, ShuttingDown, StoreError
from app.metrics.catalogue import REFUSAL_REASONS
from app.runtime import Runtime
from tests.conftest import MakeSettings
from tests.support.gate import api_client, gate_process, running
from tests.support.http_calls import JSON, NDJSON, array, item, post, problem
from tests.support.processes import wait_until
from tests.support.servers import StoreServer


@pytest.fixture
async def runtime(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Runtime]:
    async with running(settings_for(valkey, max_in_flight_requests=1)) as started:
        yield started


@pytest.fixture
async def client(runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(runtime) as opened:
        yield opened


async def ingest(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/stats")).json()["ingest"]
    return found


JSON_HEADERS = {"Content-Type": JSON}
BODIES = {
    "one": (item("a"), JSON),
    "array": (array([item("a"), item("b")]), JSON),
    "lines": (item("a"), NDJSON),
}


@pytest.mark.parametrize(
    ("headers", "status"),
    [({**JSON_HEADERS, "Content-Length": str(2**30)}, 413), ({"Content-Type": "text/csv"}, 415)],
)
async def test_what_is_the_clients_fault_is_said_before_that_memory_is_short(
    runtime: Runtime, client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    """A body that is never taken would be sent again and again, were it told to come back later."""
    runtime.guard.headroom.refuses = True
    answer = await client.post("/transactions", content=item("a"), headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize("kind", BODIES)
async def test_a_body_refused_unread_under_pressure_counts_as_one(
    runtime: Runtime, client: httpx.AsyncClient, kind: str
) -> None:
    runtime.guard.headroom.refuses = True
    body, media = BODIES[kind]
    problem(await post(client, body, media, params={"source": "feed"}), 503, "memory")
    found = await ingest(client)
    assert (found["refused"], found["failed"]) == (1, 0)
    assert found["refusals"] == dict.fromkeys(REFUSAL_REASONS, 0) | {MemoryPressure.slug: 1}
    metrics = (await client.get("/metrics")).text
    assert 'tidegate_ingest_refusals_total{reason="memory-pressure"} 1.0' in metrics
    assert 'tidegate_transactions_total{outcome="refused"} 1.0' in metrics
    assert 'tidegate_source_transactions_total{outcome="refused",source="feed"} 1.0' in metrics


async def test_a_full_queue_counts_every_transaction_of_the_request_once(
    runtime: Runtime, client: httpx.AsyncClient
) -> None:
    runtime.plane.flush_queue.resize(1, 1_000_000)
    problem(await post(client, array([item("a"), item("b"), item("c")])), 503, "waiting for the store")
    found = await ingest(client)
    assert (found["refused"], found["failed"], found["refusals"][Overloaded.slug]) == (3, 0, 1)


async def test_a_budget_that_is_used_up_counts_as_one(runtime: Runtime, client: httpx.AsyncClient) -> None:
    budget = runtime.plane.body_budget
    budget.hold(budget.limit)
    problem(await post(client, array([item("a"), item("b")])), 503, "bodies under way")
    found = await ingest(client)
    assert (found["refused"], found["refusals"][Overloaded.slug]) == (1, 1)


@pytest.mark.parametrize("path", ["/transactions", "/feeds/feed"])
async def test_a_quarter_of_the_requests_under_way_is_for_posts_alone(
    valkey: StoreServer, settings_for: MakeSettings, path: str
) -> None:
    async with (
        running(settings_for(valkey, max_in_flight_requests=4)) as started,
        api_client(started) as asking,
    ):
        started.requests.count = 3
        problem(await asking.get("/stats"), 503, "3 requests are under way already")
        assert (await asking.post(path, content=item("a"), headers=JSON_HEADERS)).is_success
        started.requests.count = 4
        problem(await asking.post(path, content=item("b"), headers=JSON_HEADERS), 503, "4 requests are under")
        assert (await asking.get("/metrics")).is_success


async def test_probes_and_scrapes_take_no_place_from_posts(runtime: Runtime) -> None:
    """However many ask at once: each is let in, so that they would take all places."""
    under_way = dict[str, int]()

    async def note(scope: Scope, _receive: Receive, _send: Send) -> None:
        under_way[scope["path"]] = runtime.requests.count

    inner = RequestMiddleware(note, None, runtime.metrics, runtime.requests)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(inner), base_url="http://gate") as asking:
        for path in ("/livez", "/readyz", "/metrics", "/stats"):
            with suppress(AssertionError):  # the transport misses an answer
                await asking.get(path)
    assert under_way == {"/livez": 0, "/readyz": 0, "/metrics": 0, "/stats": 1}
    assert runtime.requests.count == 0


@pytest.mark.parametrize("still_comes", [True, False])
async def test_a_body_takes_a_place_when_it_has_come_and_not_while_its_first_lines_wait(
    runtime: Runtime,
    client: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    still_comes: bool,
) -> None:
    are_waiting, may_go_on = asyncio.Event(), asyncio.Event()
    submit_batch = runtime.plane.submitter.submit_batch

    async def held(*batch: Any) -> None:
        are_waiting.set()
        await may_go_on.wait()
        await submit_batch(*batch)

    async def lines() -> AsyncIterator[bytes]:
        for number in range(2):
            yield item(f"line-{number}") + b"\n"

    content = lines() if still_comes else item("line-0")  # without its end it is a line when all has come
    monkeypatch.setattr(runtime.plane.submitter, "submit_batch", held)
    slow = asyncio.create_task(
        client.post("/transactions", content=content, headers={"Content-Type": NDJSON})
    )
    await are_waiting.wait()
    assert (await post(client, item("ordinary"))).status_code == (200 if still_comes else 503)
    may_go_on.set()
    assert (await slow).json()["accepted"] == 1 + still_comes


async def test_a_stopping_gate_counts_what_it_refuses(runtime: Runtime, client: httpx.AsyncClient) -> None:
    await runtime.plane.flush_queue.close()
    problem(await post(client, item("a")), 503, "stopping")
    found = await ingest(client)
    assert (found["refused"], found["refusals"][ShuttingDown.slug]) == (1, 1)


async def test_a_store_that_does_not_answer_counts_as_failed_and_its_request_by_reason(
    runtime: Runtime, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise StoreError("no")

    monkeypatch.setattr(runtime.plane.maps, "claim", fail)
    problem(await post(client, array([item("a"), item("b")])), 503, "store")
    found = await ingest(client)
    assert (found["refused"], found["failed"], found["refusals"][StoreError.slug]) == (0, 2, 1)


async def test_signatures_at_their_limit_count_each_and_the_request_once(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    small = {"signatures_limit": 256, "transactions_limit": 256, "observations_limit": 768}
    async with running(settings_for(valkey, **small)) as runtime, api_client(runtime) as client:
        answer = await post(client, array(item(f"s{n}") for n in range(300)))
        problem(answer, 503, "TIDEGATE_SIGNATURES_LIMIT")
        found = await ingest(client)
        assert found["accepted"] + found["refused"] == 300
        assert found["refusals"][MapFull.slug] == 1


def test_it_is_the_same_over_a_socket_ahead_of_asgi() -> None:
    with gate_process(memory_sample_seconds=1) as gate, gate.client() as client:

        def post_next() -> int:
            body = item(f"s{len(statuses)}")
            statuses.append(client.post("/transactions", content=body, headers=JSON_HEADERS).status_code)
            return statuses[-1]

        statuses: list[int] = []
        assert post_next() == 200
        changed = client.patch("/settings", json={"memory_limit_bytes": 32 << 20})
        assert changed.status_code == 200, changed.text
        assert wait_until(lambda: post_next() == 503, 30)
        found = client.get("/stats").json()["ingest"]
        assert set(statuses) == {200, 503}
        assert (found["accepted"], found["refused"]) == (statuses.count(200), statuses.count(503))
        assert found["refusals"][MemoryPressure.slug] == statuses.count(503)
