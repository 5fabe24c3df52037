"""A gate with two workers, and what tests ask of it."""

import os
import secrets
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gate import GateProcess, gate_process
from tests.support.processes import wait_until

NAMES = ("worker-1", "worker-2")
SECONDS = 60.0


@contextmanager
def two_workers(**settings: object) -> Iterator[GateProcess]:
    """A gate with two workers, ready."""
    with gate_process(workers=2, **settings) as gate:
        yield gate


def pids(gate: GateProcess) -> dict[str, int]:
    """The processes by name, as the gate itself says."""
    with gate.client() as client:
        found = client.get("/stats").json()["memory"]["processes"]
    return {process["name"]: process["pid"] for process in found}


def figures(gate: GateProcess) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of a scrape, by its name and labels."""
    with gate.client() as client:
        families = text_string_to_metric_families(client.get("/metrics").text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def figure(gate: GateProcess, name: str, **labels: str) -> float | None:
    """One sample, None when there is none."""
    return figures(gate).get((f"tidegate_{name}", tuple(sorted(labels.items()))))


def counted(gate: GateProcess, least: float, name: str, **labels: str) -> float | None:
    """One sample once it is at least so much; the last one if it never is.

    A worker is asked for its figures by each scrape, and on a busy machine it may not answer in time.
    """
    wait_until(lambda: (figure(gate, name, **labels) or 0) >= least, SECONDS)
    return figure(gate, name, **labels)


def await_reports(gate: GateProcess) -> None:
    """Wait until a scrape has all that the workers have counted so far."""
    source = f"mark-{secrets.token_hex(8)}"
    for name in NAMES:
        with client_at(gate, name) as client:
            client.post("/transactions", json=item(f"{source}-{name}", source)).raise_for_status()
    marks = counted(gate, len(NAMES), "source_transactions_total", source=source, outcome="accepted")
    assert marks == len(NAMES)


def kill_worker(gate: GateProcess, name: str) -> int:
    """`kill -9`, and wait until it is gone; its process id. It may be up a moment before it is shown."""
    assert wait_until(lambda: name in pids(gate), SECONDS)
    pid = pids(gate)[name]
    process = psutil.Process(pid)
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not _runs(process), SECONDS)
    return pid


def await_successor(gate: GateProcess, name: str, killed: int) -> None:
    """Wait until a worker takes the place of a killed process. At first the gate still counts that as up."""
    has_one = wait_until(lambda: pids(gate).get(name, killed) != killed and gate.is_ready(), SECONDS)
    assert has_one, gate.log.read_text()


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it went between the two
        return False


def all_end(processes: Sequence[psutil.Process]) -> bool:
    """Whether none of them runs after a while."""
    return wait_until(lambda: not any(_runs(process) for process in processes), SECONDS)


def family_of(gate: GateProcess) -> list[psutil.Process]:
    """The gate's own processes: workers and store."""
    return psutil.Process(gate.process.pid).children(recursive=True)


@contextmanager
def client_at(gate: GateProcess, name: str) -> Iterator[httpx.Client]:
    """A client whose one connection is with this worker; it connects until that is so."""
    pid = pids(gate)[name]
    for _ in range(500):
        before = _ports(pid)
        with gate.client() as client:
            client.get("/livez")
            if _ports(pid) - before:
                yield client
                return
    raise AssertionError(f"{name} takes no connection")


def _ports(pid: int) -> set[int]:
    """Return the ports of the clients that are connected with a process."""
    return {one.raddr.port for one in psutil.Process(pid).net_connections("tcp") if one.raddr}


def item(signature: str, source: str = "helius-a") -> dict[str, object]:
    """A transaction to post."""
    return {"signature": signature, "source": source, "payload": {"fee": 25000}}
