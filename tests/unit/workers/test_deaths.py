"""Processes that end, each in its way."""

import signal
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from tests.support.gate import STOP_SECONDS, start_command
from tests.support.processes import wait_until
from tests.support.worker_gates import (
    NAMES,
    SECONDS,
    all_end,
    await_successor,
    client_at,
    counted,
    family_of,
    figure,
    figures,
    item,
    kill_worker,
    pids,
    two_workers,
)

pytestmark = pytest.mark.server

HUNG = "worker does not answer, killing it"
FAILING = "import sys; sys.exit(7)"
SERVE_WITH_WORKERS_THAT_FAIL = (
    f"import sys, app.workers.pool.worker as m; m.COMMAND = (sys.executable, '-c', {FAILING!r}); "
    "from app.cli.main import main; sys.argv = ['tidegate', 'serve']; main()"
)


def test_a_killed_worker_is_replaced_and_counted_and_no_counter_falls() -> None:
    with two_workers(dedup_window_seconds=60) as gate:
        for name in NAMES:
            with client_at(gate, name) as client:
                client.post("/transactions", json=[item(f"{name}-{n}") for n in range(5)])
        # What a worker has counted since its last report is lost with it.
        assert counted(gate, 10, "transactions_total", outcome="accepted") == 10
        before = figures(gate)
        killed = kill_worker(gate, "worker-2")
        assert wait_until(lambda: figure(gate, "workers_up") == 2, SECONDS)
        # Up, it is shown with its process from its first answer on.
        await_successor(gate, "worker-2", killed)
        after = figures(gate)
        assert after["tidegate_worker_restarts_total", ()] == 1
        assert after["tidegate_transactions_total", (("outcome", "accepted"),)] == 10
        fallen = [key for key, value in before.items() if key[0].endswith("_total") and after[key] < value]
        # The time that a process has taken begins anew with it.
        assert set(fallen) <= {("tidegate_cpu_seconds_total", (("process", "worker-2"),))}
        began = [("tidegate_worker_start_time_seconds", (("process", name),)) for name in NAMES]
        assert [after[key] > before[key] for key in began] == [False, True]
        with client_at(gate, "worker-2") as client:
            assert client.post("/transactions", json=item("afterwards")).json()["status"] == "accepted"
            assert client.post("/transactions", json=item("worker-2-1")).json()["status"] == "duplicate"
        assert any(event.get("event") == "worker ended, starting it again" for event in gate.events())


def test_a_dead_workers_memory_is_not_shown_and_the_other_serves() -> None:
    with two_workers() as gate:
        frozen_out: list[bool] = []

        def is_gone() -> bool:
            shown = figures(gate)
            processes = {
                dict(labels)["process"] for name, labels in shown if name == "tidegate_memory_rss_bytes"
            }
            frozen_out.append("worker-2" not in processes)
            with gate.client() as client:
                answer = client.post("/transactions", json=item(f"meanwhile-{len(frozen_out)}"))
            assert answer.json()["status"] == "accepted"
            return frozen_out[-1]

        # The first death is made good at once, the second after a pause, in which it can be seen.
        for death in range(4):
            assert wait_until(lambda: figure(gate, "workers_up") == 2, SECONDS)
            kill_worker(gate, "worker-2")
            if death == 3:
                assert wait_until(is_gone, SECONDS)
        assert wait_until(lambda: "worker-2" in pids(gate), SECONDS)
        assert figure(gate, "worker_restarts_total") == 4


def test_no_process_outlives_a_killed_control_plane() -> None:
    with two_workers() as gate:
        family = family_of(gate)
        assert len(family) == 3
        gate.kill()
        assert all_end(family)


def test_a_stop_stores_what_was_accepted_and_ends_every_process() -> None:
    with two_workers() as gate:
        family = family_of(gate)
        with client_at(gate, "worker-1") as client:
            assert client.post("/transactions", json=item("last")).json()["status"] == "accepted"
            gate.process.send_signal(signal.SIGTERM)
            assert gate.process.wait(STOP_SECONDS) == 0
        assert all_end(family)


def test_a_control_plane_that_does_not_answer_is_said_so_while_ingest_goes_on() -> None:
    with two_workers() as gate, client_at(gate, "worker-1") as client:
        control = psutil.Process(gate.process.pid)
        control.suspend()
        try:
            assert client.post("/transactions", json=item("alone")).json()["status"] == "accepted"
            answer = client.get("/stats")
        finally:
            control.resume()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["type"] == "urn:tidegate:problem:control-unavailable"
        assert wait_until(lambda: client.get("/stats").status_code == 200, SECONDS)


@pytest.mark.slow
def test_a_worker_that_hangs_makes_the_gate_unready_holds_no_scrape_and_is_replaced_and_counted() -> None:
    with two_workers(dedup_window_seconds=60) as gate, client_at(gate, "worker-1") as client:
        frozen = psutil.Process(pids(gate)["worker-2"])
        frozen.suspend()
        reasons = ["worker-2 does not answer"]
        assert wait_until(lambda: client.get("/readyz").json().get("reasons") == reasons, SECONDS)
        assert client.post("/transactions", json=item("meanwhile")).json()["status"] == "accepted"
        assert wait_until(lambda: figure(gate, "worker_restarts_total") == 1, SECONDS)
        await_successor(gate, "worker-2", frozen.pid)
        assert figure(gate, "workers_up") == 2
        assert not frozen.is_running()
        said = (event for event in gate.events() if event.get("event") == HUNG)
        assert [(event["worker"], event["pid"]) for event in said] == [("worker-2", frozen.pid)]
        with client_at(gate, "worker-2") as other:
            assert other.post("/transactions", json=item("meanwhile")).json()["status"] == "duplicate"


def test_workers_that_cannot_start_are_reported_and_nothing_is_left() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = (sys.executable, "-c", SERVE_WITH_WORKERS_THAT_FAIL)
        gate = start_command(command, Path(folder), {"workers": 2})
        assert gate.process.wait(SECONDS) == 1
        assert "the workers cannot be started: worker-1 ended with 7" in gate.log.read_text()
        assert not any(event.get("event") == "listening" for event in gate.events())


def test_memory_pressure_refuses_in_all_workers() -> None:
    with two_workers() as gate, client_at(gate, "worker-1") as first, client_at(gate, "worker-2") as second:

        def statuses(name: str) -> set[int]:
            answers = (
                client.post("/transactions", json=item(f"{name}-{n}"))
                for n, client in enumerate((first, second))
            )
            return {answer.status_code for answer in answers}

        assert statuses("before") == {200}
        first.patch("/settings", json={"memory_limit_bytes": 64 << 20})
        assert wait_until(lambda: statuses("under") == {503}, SECONDS)

        def trims(name: str) -> float:
            return figure(gate, "guard_actions_total", process=name, action="trim") or 0

        # They refuse first, and are trimmed then.
        assert wait_until(lambda: trims("worker-1") > 0 and trims("worker-2") > 0, SECONDS)
        assert not any(event.get("event") == "worker did not answer" for event in gate.events())
        first.patch("/settings", json={"memory_limit_bytes": None})
        assert wait_until(lambda: statuses("after") == {200}, SECONDS)
