"""One gate, whichever worker is asked."""

import asyncio
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.ingest.sampled_transactions import MOST_A_SECOND
from tests.support.gate import GateProcess
from tests.support.processes import wait_until
from tests.support.worker_gates import (
    NAMES,
    SECONDS,
    await_reports,
    client_at,
    counted,
    figure,
    figures,
    item,
    pids,
    two_workers,
)

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def gate() -> Iterator[GateProcess]:
    """For tests that leave it as it was."""
    with two_workers() as started:
        yield started


def test_each_signature_is_accepted_once_among_both_workers(gate: GateProcess) -> None:
    batches = [[item(f"once-{round_}-{n}") for n in range(50)] for round_ in range(10)]
    accepted: Counter[int] = Counter()

    async def feed() -> None:
        async with httpx.AsyncClient(base_url=gate.url, trust_env=False, timeout=30) as client:
            answers = [await client.post("/transactions", json=batch) for batch in batches]
        for number, answer in enumerate(answers):
            accepted[number] += answer.json()["accepted"]

    async def feeds() -> None:
        await asyncio.gather(*(feed() for _ in range(16)))

    asyncio.run(feeds())
    assert accepted == dict.fromkeys(range(10), 50)


def test_what_one_worker_accepted_the_other_answers_as_duplicate_and_finds(gate: GateProcess) -> None:
    with client_at(gate, "worker-1") as first, client_at(gate, "worker-2") as second:
        assert first.post("/transactions", json=item("shared")).json()["status"] == "accepted"
        assert second.post("/transactions", json=item("shared", "b")).json()["status"] == "duplicate"
        found = second.get("/transactions/shared").json()
    assert [seen["source"] for seen in found["observations"]] == ["helius-a", "b"]


def test_a_scrape_through_any_worker_has_the_sum_of_all(gate: GateProcess) -> None:
    await_reports(gate)
    before = figure(gate, "transactions_total", outcome="accepted") or 0
    for name in NAMES:
        with client_at(gate, name) as client:
            client.post("/transactions", json=[item(f"sum-{name}-{n}", f"feed-{name}") for n in range(7)])
    assert counted(gate, before + 14, "transactions_total", outcome="accepted") == before + 14
    for name in NAMES:
        with client_at(gate, name) as client:
            assert client.get("/stats").json()["ingest"]["accepted"] == before + 14
            sources = {row["source"]: row["accepted"] for row in client.get("/sources").json()["sources"]}
        assert sources["feed-worker-1"] == sources["feed-worker-2"] == 7
    assert figure(gate, "source_transactions_total", source="feed-worker-1", outcome="accepted") == 7


def test_what_feeds_of_two_workers_miss_and_deliver_late_is_known() -> None:
    """Each feed has a connection to one worker, which sees nothing of the other feed."""
    each = MOST_A_SECOND // 3  # so that all of them are looked up, none drawn by chance
    with (
        two_workers(late_sample=1, dedup_window_seconds=2) as gate,
        client_at(gate, "worker-1") as one,
        client_at(gate, "worker-2") as two,
    ):

        def deliver(client: httpx.Client, source: str, *names: str) -> int:
            items = [item(f"{name}-{n}", source) for name in names for n in range(each)]
            return int(client.post("/transactions", json=items).json()["accepted"])

        def sources() -> dict[str, dict[str, Any]]:
            with gate.client() as client:
                return {shown["source"]: shown for shown in client.get("/sources").json()["sources"]}

        deliver(one, "a", "both")
        deliver(two, "b", "both")
        deliver(one, "a", "own", "end")
        deliver(two, "b", "end")
        third = {"count": each, "share": pytest.approx(1 / 3)}
        assert wait_until(lambda: sources()["b"]["missed"] == third, 30)
        assert sources()["a"]["solo"] == third
        assert deliver(two, "b", "own") == each
        assert wait_until(lambda: sources()["b"]["late"] is not None, 30)
        late = sources()["b"]["late"]
        assert (late["count"], late["share"]) == (each, 1)
        assert sources()["a"]["first_share"] == 1


def test_memory_is_shown_for_every_process_and_maps_once(gate: GateProcess) -> None:
    shown = figures(gate)
    names = {dict(labels)["process"] for name, labels in shown if name == "tidegate_memory_rss_bytes"}
    assert names == {"gate", "store", *NAMES}
    assert len(set(pids(gate).values())) == 4
    assert sum(name == "tidegate_map_entries" for name, _ in shown) == 3
    assert shown["tidegate_workers", ()] == shown["tidegate_workers_up", ()] == 2


def test_promtool_finds_nothing_to_complain_about(gate: GateProcess) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing; run: apt-get install prometheus"
    with gate.client() as client:
        scrape = client.get("/metrics").content
    checked = subprocess.run((promtool, "check", "metrics"), input=scrape, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@pytest.mark.parametrize("name", NAMES)
def test_control_is_reached_through_any_worker(gate: GateProcess, name: str) -> None:
    with client_at(gate, name) as client:
        assert client.post("/cleanup").json()["trigger"] == "manual"
        assert client.get("/readyz").json() == {"status": "ready", "reasons": [], "warnings": []}
        assert {row["name"] for row in client.get("/memory").json()["processes"]} >= {"gate", "store"}
        assert "/transactions" in client.get("/openapi.json").json()["paths"]
        refused = client.get("/transactions")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        assert client.patch("/cleanup").headers["allow"] == "GET, HEAD, POST"
        assert client.get("/nope?a=%2F").json()["type"] == "urn:tidegate:problem:not-found"
        assert client.patch("/settings", json={"max_batch_items": "x" * 20_000}).status_code == 413
        assert client.post("/cleanup", content=b"x" * (9 << 20)).status_code == 413
        assert client.get("/livez").json() == {"status": "alive"}


def test_settings_changed_through_one_worker_reach_all(gate: GateProcess) -> None:
    with client_at(gate, "worker-1") as first, client_at(gate, "worker-2") as second:

        def takes(client: httpx.Client, length: int) -> bool:
            body = [item(f"long-{n}") for n in range(length)]
            return client.post("/transactions", json=body).status_code == 200

        assert first.patch("/settings", json={"max_batch_items": 5}).status_code == 200
        assert wait_until(lambda: not takes(first, 6) and not takes(second, 6), SECONDS)
        assert first.patch("/settings", json={"max_batch_items": None}).status_code == 200
        assert wait_until(lambda: takes(first, 6) and takes(second, 6), SECONDS)
    assert figure(gate, "settings_changes_total", source="store") == 0
