"""Drills of served gates: a leak that is really found, workers, a gate or a terminal that is killed."""

import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.gate import GateProcess, environment_of, gate_process, tidegate_command
from tests.support.leaking_gates import QUICK
from tests.support.processes import wait_until
from tests.support.servers import StoreServer

pytestmark = [pytest.mark.server, pytest.mark.slow]

PATIENCE_SECONDS = 100.0
STORE_DOWN = {"drill": "store-down", "refuse_ingest": "true"}


def document(gate: GateProcess) -> dict[str, Any]:
    with gate.client() as client:
        found: dict[str, Any] = client.get("/drill").json()
    return found


def begin(gate: GateProcess, **query: object) -> None:
    with gate.client() as client:
        answer = client.post("/drill", params=query)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text


def post_status(gate: GateProcess, signature: str) -> int:
    with gate.client() as client:
        return client.post("/transactions", json={"signature": signature}).status_code


def is_accepted(gate: GateProcess, signature: str) -> bool:
    return post_status(gate, signature) == 200


def test_the_leak_of_a_drill_is_found_examined_and_counted_as_the_drills_own(tmp_path: Path) -> None:
    settings = QUICK | {"leak_warmup_seconds": 0, "diagnosis_dir": tmp_path}
    with gate_process(**settings) as gate:
        assert wait_until(lambda: _leak_state(gate) == "ok", PATIENCE_SECONDS)
        begin(gate, drill="leak", seconds=100, bytes=100 * 1024 * 1024)
        assert wait_until(lambda: document(gate)["active"] is None, 2 * PATIENCE_SECONDS, 0.2)
        assert document(gate)["past"][0]["end"] == "answered"
        with gate.client() as client:
            memory, text = client.get("/memory").json(), client.get("/metrics").text
            report = client.get("/reports/recent", params={"hours": 1}).json()
        [found] = memory["detections"]
        assert found["cause"] == "python_objects"
        assert found["top_allocations"][0]["place"].startswith("app/drills/leak.py:")
        counted = [line for line in text.splitlines() if line.startswith("tidegate_leak_detections_total{")]
        made = {line.partition('process="')[2].partition('"')[0] for line in counted if line.endswith(" 1.0")}
        assert made == {"drill"}
        assert _leak_state(gate) == "ok", "what the drill has shown the detector is forgotten"
        assert "leak" not in str(report["gates"][0]["leak_detections"])


def _leak_state(gate: GateProcess) -> str:
    with gate.client() as client:
        [own] = [one for one in client.get("/memory").json()["processes"] if one["name"] == "gate"]
    return str(own["state"])


def test_workers_take_the_store_for_down_as_well_and_have_it_back_in_time() -> None:
    with gate_process(workers=2) as gate:
        assert post_status(gate, "before") == 200
        begin(gate, **STORE_DOWN, seconds=3)
        assert wait_until(lambda: post_status(gate, "during") == 503, PATIENCE_SECONDS)
        assert wait_until(lambda: document(gate)["active"] is None, PATIENCE_SECONDS)
        for number in range(20):
            assert wait_until(partial(is_accepted, gate, f"after-{number}"), PATIENCE_SECONDS)


def test_a_gate_that_is_killed_and_started_again_has_no_drill(valkey: StoreServer) -> None:
    with gate_process(store_url=valkey.url) as gate:
        begin(gate, **STORE_DOWN, seconds=600)
        assert wait_until(lambda: not gate.is_ready(), PATIENCE_SECONDS)
        gate.kill()
    with gate_process(store_url=valkey.url) as gate:
        assert document(gate) == {"active": None, "past": []}
        assert post_status(gate, "again") == 200


def test_a_drill_ends_by_itself_when_the_command_that_began_it_is_killed() -> None:
    with gate_process() as gate:
        command = (tidegate_command(), "drill", "store-down", "--refuse-ingest", "--seconds", "4")
        with subprocess.Popen(
            [*command, "--url", gate.url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=environment_of({}),
        ) as watching:
            assert wait_until(lambda: document(gate)["active"] is not None, PATIENCE_SECONDS)
            watching.kill()
        assert post_status(gate, "during") in (200, 503)
        assert wait_until(lambda: document(gate)["active"] is None, PATIENCE_SECONDS)
        assert document(gate)["past"][0]["end"] == "time"
        assert wait_until(lambda: post_status(gate, "after") == 200, PATIENCE_SECONDS)
