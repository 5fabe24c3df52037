"""A forked gate is the gate that a start of the program gives, with its application loaded beforehand."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.gate import GateProcess, gate_process, gate_program, start_gate

SECONDS = 60.0


def _told(gate: GateProcess) -> dict[str, Any]:
    """What it says of itself, without what differs from start to start."""
    with gate.client() as client:
        answers = {
            path: client.get(path).raise_for_status().json() for path in ("/settings", "/openapi.json")
        }
    events = [event["event"] for event in gate.events()]
    process = psutil.Process(gate.process.pid)
    return {
        **answers,
        "events": events,
        "folder": process.cwd(),
        "group": os.getpgid(process.pid),
        "session": os.getsid(process.pid),
        "limits": [process.rlimit(kind) for kind in (psutil.RLIMIT_NOFILE, psutil.RLIMIT_CORE)],
        "stdin": Path(f"/proc/{process.pid}/fd/0").readlink(),
        "handled": [line for line in _status(process.pid) if line.startswith(("Sig", "Seccomp", "Umask"))],
    }


def _status(pid: int) -> list[str]:
    return [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "SigQ" not in line]


def test_a_fork_says_of_itself_what_a_program_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with gate_process(gate_name="eu-1") as fork, gate_program(gate_name="eu-1") as program:
        assert _told(fork) == _told(program)


def test_a_fork_has_its_application_from_the_process_that_it_comes_from() -> None:
    with gate_process() as gate:
        parent = psutil.Process(gate.process.pid).parent()
        assert parent is not None
        assert any("pydantic_core" in one.path for one in parent.memory_maps())


def test_how_a_fork_ends_is_told(tmp_path: Path) -> None:
    refused = start_gate(tmp_path, port="none")
    assert refused.process.wait(SECONDS) == refused.process.poll() == refused.process.returncode == 2
    assert "TIDEGATE_PORT" in refused.log.read_text()
    refused.kill()
    with gate_process() as gate:
        with pytest.raises(subprocess.TimeoutExpired):
            gate.process.wait(0.01)
        assert gate.terminate() == 0
    with gate_process() as gate:
        gate.kill()
        assert gate.process.returncode == -signal.SIGKILL
        assert not psutil.pid_exists(gate.process.pid)


def test_a_fork_reads_its_own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with gate_process():
        assert [place.name.partition("-")[0] for place in tmp_path.iterdir()].count("tidegate") == 1


def test_what_an_interpreter_reads_at_its_start_is_no_matter_of_a_fork(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    with pytest.raises(AssertionError, match="as a program"):
        start_gate(tmp_path)


def test_what_is_no_test_starts_a_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    with pytest.raises(AssertionError, match="as a program"):
        start_gate(tmp_path)
