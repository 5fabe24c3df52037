"""What processes share survives a cleaner of temporary files, and readiness says which worker is missing."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.gate import await_gate, gate_process, start_command
from tests.support.processes import wait_until
from tests.support.worker_gates import (
    NAMES,
    SECONDS,
    await_successor,
    client_at,
    figure,
    item,
    kill_worker,
    pids,
    two_workers,
)

pytestmark = pytest.mark.server

# Worker processes that end at once with 7 while there is a certain file.
COMMAND = (
    "import os, runpy, sys; os.path.exists({flag!r}) and sys.exit(7); "
    "runpy.run_module('app.workers.process', run_name='__main__')"
)
SERVE = (
    "import sys, app.workers.pool.worker as m; m.COMMAND = (sys.executable, '-c', {command!r}); "
    "from app.cli.main import main; sys.argv = ['tidegate', 'serve']; main()"
)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files of the gate; its path is short, as a unix socket's has to be."""
    folder = Path(tempfile.mkdtemp(prefix="gates-"))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _clean(folder: Path) -> None:
    """As a cleaner does that finds all of it too old."""
    for entry in folder.iterdir():
        shutil.rmtree(entry)


def test_a_worker_that_dies_after_a_cleaner_came_is_replaced_and_serves(folder: Path) -> None:
    with two_workers(dedup_window_seconds=60) as gate:
        with client_at(gate, "worker-1") as client:
            assert client.post("/transactions", json=item("before")).json()["status"] == "accepted"
        _clean(folder)
        for name in NAMES:
            await_successor(gate, name, kill_worker(gate, name))
        for name in NAMES:
            with client_at(gate, name) as client:
                assert client.post("/transactions", json=item("before")).json()["status"] == "duplicate"
                assert client.post("/transactions", json=item(name)).json()["status"] == "accepted"
                assert client.post("/cleanup").json()["trigger"] == "manual"
        assert figure(gate, "worker_restarts_total") == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_a_store_that_dies_after_a_cleaner_came_is_started_again(folder: Path, workers: int) -> None:
    with gate_process(workers=workers) as gate, gate.client() as client:
        before = pids(gate)["store"]
        _clean(folder)
        os.kill(before, signal.SIGKILL)

        def serves() -> bool:
            return client.post("/transactions", json=item("after")).status_code == 200

        assert wait_until(lambda: gate.is_ready() and serves(), SECONDS), gate.log.read_text()
        assert wait_until(lambda: pids(gate).get("store") not in (None, before), SECONDS)
        [made] = folder.glob("tidegate-*")
        assert gate.terminate() == 0
        assert not made.exists()


def test_a_worker_that_does_not_come_back_is_named_while_the_other_takes_traffic(folder: Path) -> None:
    flag = folder / "fails"
    command = SERVE.format(command=COMMAND.format(flag=str(flag)))
    logs = Path(tempfile.mkdtemp(prefix="gate-test-"))
    gate = start_command((sys.executable, "-c", command), logs, {"workers": 2})
    try:
        await_gate(gate)
        flag.touch()
        kill_worker(gate, "worker-2")
        with gate.client() as client:
            expected = {
                "status": "ready",
                "reasons": [],
                "warnings": ["1 of 2 workers takes traffic; not up: worker-2 (see the log)"],
            }
            assert wait_until(lambda: client.get("/readyz").json() == expected, SECONDS)
            assert client.get("/readyz").status_code == 200
            flag.unlink()
            assert wait_until(lambda: client.get("/readyz").json()["warnings"] == [], SECONDS)
        assert figure(gate, "workers_up") == 2
        assert psutil.pid_exists(pids(gate)["worker-2"])
    finally:
        gate.kill()
        shutil.rmtree(logs, ignore_errors=True)
