"""What a gate tells systemd: a real gate, and a socket in the place of systemd's."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.process.systemd import ALIVE, READY, STOPPING, notify, watchdog_seconds
from tests.support.gate import await_gate, started, started_by
from tests.support.hanging_gate import HANGS, TURNS

SECONDS = 60.0
# A socket holds ten states that nobody has read: enough for two seconds in which a busy machine runs no test.
WATCHDOG_MICROSECONDS = "400000"


class Told:
    """A socket as systemd has one for each service."""

    def __init__(self, name: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        self._socket.settimeout(SECONDS)

    def next(self) -> str:
        """The next state that is told; waits for it."""
        return self._socket.recv(100).decode()

    def next_change(self) -> str:
        """The next state that is told besides that the process is alive."""
        return next(state for state in iter(self.next, None) if state != ALIVE)

    def close(self) -> None:
        """Be gone."""
        self._socket.close()


@pytest.fixture
def told(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    name = {"path": str(tmp_path / "notify"), "abstract": f"@tidegate-test-{os.getpid()}"}[request.param]
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    systemd = Told(name)
    yield systemd
    systemd.close()


@pytest.mark.server
@pytest.mark.parametrize(("told", "workers"), [("path", 1), ("abstract", 2)], indirect=["told"])
def test_a_gate_is_ready_when_it_listens_alive_while_its_loop_turns_and_says_that_it_stops(
    told: Told, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", WATCHDOG_MICROSECONDS)
    with started(workers=workers) as gate:
        assert told.next_change() == READY
        assert any(event.get("event") == "listening" for event in gate.events())
        await_gate(gate)
        assert [told.next() for _ in range(3)] == [ALIVE] * 3
        gate.process.terminate()
        assert told.next_change() == STOPPING
        assert gate.process.wait(SECONDS) == 0


@pytest.mark.server
@pytest.mark.parametrize("told", ["path"], indirect=True)
def test_a_gate_whose_loop_hangs_is_not_called_alive_though_its_threads_go_on(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", WATCHDOG_MICROSECONDS)
    with started_by((sys.executable, "-m", "tests.support.hanging_gate"), {}) as gate:
        assert told.next_change() == READY
        assert told.next() == ALIVE
        gate.process.send_signal(signal.SIGUSR1)
        assert told.next_change() == HANGS
        assert told.next() == TURNS, "nothing for five times as long as systemd waits"
        assert told.next() == ALIVE


def test_without_systemd_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    with capture_logs() as logs:
        notify(READY)
    assert logs == []


def test_a_socket_that_is_gone_is_logged_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    with capture_logs() as logs:
        notify(READY)
    assert [(line["event"], line["state"]) for line in logs] == [("systemd was not told", READY)]


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_waits_for_whom_it_means(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], seconds: float | None
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert watchdog_seconds() == seconds
