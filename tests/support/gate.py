"""Gates for tests: the real command as a process, or a runtime inside the test."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from app.main import create_app
from app.runtime import Runtime
from app.settings.model import Settings
from tests.support import server_starts
from tests.support.forked_gates import ForkedGate
from tests.support.processes import wait_until

# Far longer than it takes, on a busy machine too: they only end a test that hangs.
START_SECONDS = 60.0
STOP_SECONDS = 60.0
ANSWER_SECONDS = 200.0
# Between two looks whether a gate is there, which takes most of a second of processor time to start.
LOOK_SECONDS = 0.02


@dataclass
class GateProcess:
    """`tidegate serve` on a free port of 127.0.0.1, its log in a file."""

    process: subprocess.Popen[bytes] | ForkedGate
    log: Path
    url: str = ""

    def client(self, **options: object) -> httpx.Client:
        """A client for this gate, without a proxy, and without certificates, which take 40 ms to load."""
        usual = {"base_url": self.url, "trust_env": False, "timeout": ANSWER_SECONDS, "verify": False}
        return httpx.Client(**usual | options)  # type: ignore[arg-type]

    def events(self) -> list[dict[str, object]]:
        """The log so far."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def is_ready(self) -> bool:
        """Ask the gate whether it takes traffic now."""
        return self._readiness() is not None

    def is_whole(self) -> bool:
        """Ask the gate whether it takes traffic now, and of a Cluster no partition is down."""
        readiness = self._readiness()
        return readiness is not None and "partitions" not in str(readiness["warnings"])

    def _readiness(self) -> dict[str, Any] | None:
        """What `GET /readyz` says if the gate is ready; else None."""
        try:
            answer = httpx.get(f"{self.url}/readyz", trust_env=False, timeout=10, verify=False)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.is_success else None

    def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """SIGSTOP; on return it really stands still."""
        self.process.send_signal(signal.SIGSTOP)
        stopped = psutil.Process(self.process.pid)
        assert wait_until(lambda: stopped.status() == psutil.STATUS_STOPPED, STOP_SECONDS)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


def tidegate_command() -> str:
    """The installed command of the interpreter that runs the tests."""
    beside = Path(sys.executable).with_name("tidegate")
    return str(beside) if beside.exists() else str(shutil.which("tidegate"))


def start_gate(folder: Path, **settings: object) -> GateProcess:
    """Start a gate, as a fork, with settings by their names (`store_url=…`); returns at once."""
    log = _log_in(folder)
    log.touch()
    command = (tidegate_command(), "serve")
    server_starts.check(command)
    return GateProcess(ForkedGate(command, log, environment_of(settings)), log)


def start_program(folder: Path, **settings: object) -> GateProcess:
    """Start a gate as a new program, with settings by their names; returns at once."""
    return start_command((tidegate_command(), "serve"), folder, settings)


def start_command(command: Sequence[str], folder: Path, settings: Mapping[str, object]) -> GateProcess:
    """Start a gate by a command, with settings by their names; returns at once."""
    log = _log_in(folder)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=output, stdout=output, env=environment_of(settings)
        )
    return GateProcess(process, log)


def _log_in(folder: Path) -> Path:
    return folder / f"gate-{len(list(folder.iterdir()))}.log"


def environment_of(settings: Mapping[str, object]) -> dict[str, str]:
    """The variables for a gate with these settings; it logs JSON on a free port unless they say otherwise."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("TIDEGATE_")}
    given = {f"TIDEGATE_{name.upper()}": str(value) for name, value in settings.items()}
    return inherited | {"TIDEGATE_LOG_FORMAT": "json", "TIDEGATE_PORT": "0"} | given


def await_gate(gate: GateProcess) -> None:
    """Wait until it listens and is ready."""
    is_there = wait_until(lambda: has_port(gate) and gate.is_ready(), START_SECONDS, LOOK_SECONDS)
    assert is_there, gate.log.read_text()


def has_port(gate: GateProcess) -> bool:
    """Tell whether the gate listens, and note where."""
    assert gate.process.poll() is None, gate.log.read_text()
    ports = [event["port"] for event in gate.events() if event.get("event") == "listening"]
    if ports:
        gate.url = f"http://127.0.0.1:{ports[0]}"
    return bool(ports)


def started(*arguments: str, **settings: object) -> AbstractContextManager[GateProcess]:
    """A gate that `tidegate serve` just started with these arguments, ready or not; killed in the end."""
    return started_by((tidegate_command(), "serve", *arguments), settings)


@contextmanager
def started_by(command: Sequence[str], settings: Mapping[str, object]) -> Iterator[GateProcess]:
    """A gate that another command just started, ready or not; killed in the end."""
    with _killed(lambda folder: start_command(command, folder, settings)) as gate:
        yield gate


@contextmanager
def gate_process(**settings: object) -> Iterator[GateProcess]:
    """A gate that is ready; killed in the end if it still runs. It is a fork: see `forked_gates`."""
    with _killed(lambda folder: start_gate(folder, **settings)) as gate:
        await_gate(gate)
        yield gate


@contextmanager
def gate_program(**settings: object) -> Iterator[GateProcess]:
    """A gate that is ready, as a new program, for tests of its memory and of what the kernel tells of it."""
    with started(**settings) as gate:
        await_gate(gate)
        yield gate


@contextmanager
def _killed(start: Callable[[Path], GateProcess]) -> Iterator[GateProcess]:
    with tempfile.TemporaryDirectory(prefix="gate-test-", ignore_cleanup_errors=True) as folder:
        gate = start(Path(folder))
        try:
            yield gate
        finally:
            if gate.process.poll() is None:
                gate.kill()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Runtime]:
    """A started runtime inside the test, stopped in the end."""
    runtime = Runtime(settings)
    await runtime.start()
    try:
        yield runtime
    finally:
        await runtime.stop()


@asynccontextmanager
async def api_client(runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application around a runtime, without a socket between."""
    transport = httpx.ASGITransport(create_app(runtime), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gate", trust_env=False) as client:
        yield client
