"""More clients than descriptors: the rest is told so, and the gate keeps those it needs for itself."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.support.faulty_gates import store_processes
from tests.support.gate import GateProcess, await_gate, start_command, tidegate_command
from tests.support.processes import wait_until

ASK = b"GET /livez HTTP/1.1\r\nHost: gate\r\n\r\n"
BEGUN = 5
SECONDS = 60


@contextmanager
def limited_gate(folder: Path, soft: int, hard: int, **settings: object) -> Iterator[GateProcess]:
    """A gate whose limits on descriptors are these."""
    limits = f"ulimit -Sn {soft} && ulimit -Hn {hard} && exec {tidegate_command()} serve"
    gate = start_command(("sh", "-c", limits), folder, settings)
    try:
        await_gate(gate)
        yield gate
    finally:
        if gate.process.poll() is None:
            gate.terminate()


def connected(gate: GateProcess) -> socket.socket:
    host, port = gate.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=SECONDS)


def asking(gate: GateProcess) -> socket.socket:
    """A connection with a request under way: one that is idle would make room for those that come later."""
    connection = connected(gate)
    connection.sendall(ASK[:BEGUN])
    return connection


def answer(connection: socket.socket) -> int:
    """The status of the next answer, 0 when the connection was closed without one."""
    try:
        line = connection.recv(65536).partition(b"\r\n")[0]
    except ConnectionError:
        return 0
    return int(line.split()[1]) if line else 0


def post(connection: socket.socket, signature: str) -> int:
    body = json.dumps({"signature": signature}).encode()
    head = b"POST /transactions HTTP/1.1\r\nHost: gate\r\nContent-Type: application/json\r\n"
    connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    return answer(connection)


def events(gate: GateProcess, name: str) -> list[dict[str, object]]:
    return [event for event in gate.events() if str(event.get("event")).startswith(name)]


def limits_of(pid: int) -> tuple[int, int]:
    return psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE)


def test_the_soft_limit_is_raised_and_the_default_of_connections_is_within_reach(tmp_path: Path) -> None:
    with limited_gate(tmp_path, 256, 4096, workers=2) as gate:
        processes = [psutil.Process(gate.process.pid), *psutil.Process(gate.process.pid).children()]
        assert len(processes) == 4
        assert {limits_of(process.pid) for process in processes} == {(4096, 4096)}
        assert events(gate, "fewer connections than set") == []
        assert [event["connections"] for event in events(gate, "listening")] == [2048]


@pytest.mark.parametrize(("workers", "hard", "each"), [(1, 256, 128), (2, 320, 80)])
def test_clients_past_the_descriptors_are_answered_503_and_a_dead_store_is_started_again(
    tmp_path: Path, workers: int, hard: int, each: int
) -> None:
    with limited_gate(tmp_path, hard, hard, workers=workers) as gate, ExitStack() as open_connections:
        told = events(gate, "fewer connections than set")
        assert {(event["connections"], event["descriptors"]) for event in told} == {(each, hard)}
        [store] = store_processes(gate)
        storm = [open_connections.enter_context(asking(gate)) for _ in range(2 * hard)]
        for connection in storm:
            with suppress(ConnectionError):  # it was refused and closed; its answer can be read
                connection.sendall(ASK[BEGUN:])
        statuses = [answer(connection) for connection in storm]
        assert Counter(statuses).keys() == {200, 503}
        assert each <= statuses.count(200) <= workers * each
        served = storm[statuses.index(200)]
        assert post(served, "before") == 200
        store.kill()
        assert wait_until(
            lambda: [new for new in store_processes(gate) if new.pid != store.pid] != [], SECONDS
        )
        assert wait_until(lambda: post(served, "after") == 200, SECONDS), gate.log.read_text()
        assert "Too many open files" not in gate.log.read_text()


def test_a_limit_that_leaves_no_room_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    gate = start_command(("sh", "-c", f"ulimit -n 100 && exec {tidegate_command()} serve"), tmp_path, {})
    assert gate.process.wait(SECONDS) == 2
    assert gate.log.read_text().startswith(
        "tidegate: only 100 descriptors may be open at once, 144 are needed: "
    )
