"""Services under measurement: a process with a port, and its children."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.support.gate import tidegate_command
from tests.support.processes import free_port, wait_until

START_SECONDS = 20.0
STOP_SECONDS = 15.0


@dataclass
class Service:
    """A running service; its log is in a file."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def processes(self) -> dict[str, psutil.Process]:
        """`gate`, the service itself, and `store`, if it started one."""
        gate = psutil.Process(self.process.pid)
        stores = [child for child in gate.children() if "valkey" in child.name()]
        return {"gate": gate} | dict(zip(["store"], stores, strict=False))

    def resident(self) -> dict[str, int]:
        """Resident bytes of each process."""
        return {name: process.memory_info().rss for name, process in self.processes().items()}

    def cpu_seconds(self) -> dict[str, float]:
        """CPU each process has used so far."""
        times = {name: process.cpu_times() for name, process in self.processes().items()}
        return {name: time.user + time.system for name, time in times.items()}

    def get(self, path: str) -> dict[str, object]:
        """A JSON document of the service."""
        answer: dict[str, object] = httpx.get(f"{self.url}{path}", trust_env=False, timeout=30).json()
        return answer

    def answers(self) -> bool:
        """Whether it serves."""
        if self.process.poll() is not None:
            raise SystemExit(f"the service ended:\n{self.log.read_text()[-3000:]}")
        try:
            return httpx.get(f"{self.url}/livez", trust_env=False, timeout=5).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


@contextmanager
def service(*command: str, **settings: object) -> Iterator[Service]:
    """Run a command that serves on `TIDEGATE_PORT`; settings by their names (`memory_limit_bytes=…`)."""
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TIDEGATE_")}
    environment |= {f"TIDEGATE_{name.upper()}": str(value) for name, value in settings.items()}
    environment |= {"TIDEGATE_PORT": str(port), "TIDEGATE_LOG_FORMAT": "json"}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            running = Service(f"http://127.0.0.1:{port}", process, log)
            if not wait_until(running.answers, START_SECONDS, 0.05):
                raise SystemExit(f"the service does not answer:\n{log.read_text()[-3000:]}")
            yield running
        finally:
            _stop(process)


@contextmanager
def tidegate(**settings: object) -> Iterator[Service]:
    """The gate as it is shipped, with the embedded store."""
    with service(tidegate_command(), "serve", **settings) as running:
        yield running


def module(name: str) -> tuple[str, ...]:
    """The command that runs a Python module of this repository."""
    return sys.executable, "-m", name


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
