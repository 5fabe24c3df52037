"""Feeds of a gate with workers: each serves them, and the control plane counts and warns for all."""

from pathlib import Path

import httpx
import pytest

from tests.support.feed_calls import block, feeds_file, sample
from tests.support.gate import gate_process
from tests.support.processes import wait_until
from tests.support.worker_gates import (
    NAMES,
    SECONDS,
    await_successor,
    client_at,
    counted,
    item,
    kill_worker,
    two_workers,
)

pytestmark = pytest.mark.server

FILE = "helius_enhanced_25.json"
SIGNED = '[feeds.quicknode-a]\nhmac = "quicknode"\nsecrets_file = "secret"\n'
BROKEN = "[feeds.quicknode-a]\nhmca = 1\n"


def counts(answer: httpx.Response) -> tuple[int, int]:
    assert answer.status_code == 200, answer.text
    return answer.json()["accepted"], answer.json()["duplicate"]


def warnings(client: httpx.Client) -> str:
    return "\n".join(client.get("/stats").json()["warnings"])


@pytest.mark.parametrize("fast_path", [True, False])
def test_a_feed_is_served_by_every_worker_and_counted_for_all(fast_path: bool) -> None:
    body, headers, _, total = sample(FILE)
    with two_workers(dedup_window_seconds=60, fast_path=fast_path) as gate:
        answers = []
        for name in NAMES:
            with client_at(gate, name) as client:
                answers.append(counts(client.post("/feeds/helius-a", content=body, headers=headers)))
                assert client.post("/feeds/helius-a", content=b'{"event":1}').status_code == 422
                assert client.get("/feeds/helius-a").status_code == 405
                assert client.post("/feeds/a%2Fb", content=body).status_code == 404
        assert answers == [(total, 0), (0, total)]
        taken = {"feed": "helius-a", "shape": "helius-enhanced"}
        assert counted(gate, 2 * total, "feed_documents_total", **taken) == 2 * total
        rejected = {"feed": "helius-a", "reason": "unknown-shape"}
        assert counted(gate, 2, "feed_rejected_total", **rejected) == 2
        with gate.client() as client:
            assert wait_until(lambda: "helius-a" in warnings(client), SECONDS)
            assert "/feeds/{feed}" in client.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize("fast_path", [True, False])
def test_a_gate_without_workers_serves_feeds_over_http(fast_path: bool) -> None:
    body, headers, _, total = sample(FILE)
    with gate_process(dedup_window_seconds=60, fast_path=fast_path) as gate, gate.client() as client:
        assert counts(client.post("/feeds/helius-a", content=body, headers=headers)) == (total, 0)
        assert client.post("/transactions", json=item("beside")).json()["status"] == "accepted"
        assert counts(client.post("/feeds/helius-a", content=body, headers=headers)) == (0, total)
        assert counts(client.post("/feeds/block", content=block(1_000))) == (1_000, 0)


def test_a_worker_that_starts_while_the_feeds_file_is_broken_lets_no_feed_in_until_it_is_mended(
    tmp_path: Path,
) -> None:
    file = feeds_file(tmp_path, SIGNED)
    with two_workers(feeds_file=file) as gate:
        file.write_text(BROKEN, encoding="utf-8")
        await_successor(gate, "worker-1", kill_worker(gate, "worker-1"))
        with client_at(gate, "worker-1") as client:
            answer = client.post("/feeds/quicknode-a", content=block(1))
            assert answer.json()["type"] == "urn:tidegate:problem:feeds-unknown", answer.text
            assert client.post("/transactions", json=item("beside")).json()["status"] == "accepted"
        with client_at(gate, "worker-2") as client:
            assert client.post("/feeds/quicknode-a", content=block(1)).status_code == 401
            assert wait_until(lambda: "hmca" in warnings(client), SECONDS)
        file.write_text(SIGNED, encoding="utf-8")
        with client_at(gate, "worker-1") as client:
            assert wait_until(
                lambda: client.post("/feeds/quicknode-a", content=block(1)).status_code == 401, SECONDS
            )
