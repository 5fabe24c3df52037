"""Gates and their rivals under measurement: a process with a port, and its children."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

from benchmarks.common.plan import Target
from tests.support.gate import START_SECONDS, GateProcess, start_command, tidegate_command
from tests.support.processes import free_port, wait_until


@dataclass
class Service(GateProcess):
    """A running service that listens on the port it was given."""

    def processes(self) -> dict[str, psutil.Process]:
        """`gate`, the service itself, and `store`, if it started one."""
        gate = psutil.Process(self.process.pid)
        stores = [child for child in gate.children() if "valkey" in child.name()]
        return {"gate": gate} | dict(zip(["store"], stores, strict=False))

    def resident(self) -> dict[str, int]:
        """Resident bytes of each process."""
        return {name: process.memory_info().rss for name, process in self.processes().items()}

    def target(self) -> Target:
        """Return where the load goes and whose CPU is measured; workers count as the gate."""
        main = psutil.Process(self.process.pid)
        parts: dict[str, list[int]] = {"gate": [main.pid]}
        for child in main.children(recursive=True):
            parts.setdefault("store" if "valkey" in child.name() else "gate", []).append(child.pid)
        return Target(int(urlsplit(self.url).port or 0), parts)

    def get(self, path: str) -> Any:
        """A JSON document of the service."""
        with self.client() as client:
            return client.get(path).json()

    def answers(self) -> bool:
        """Tell whether the service serves."""
        if self.process.poll() is not None:
            raise SystemExit(f"the service ended:\n{self.log.read_text()[-3000:]}")
        try:
            with self.client() as client:
                return client.get("/livez").is_success
        except httpx.HTTPError:
            return False


@contextmanager
def service(*command: str, **settings: object) -> Iterator[Service]:
    """Run a command that serves on `TIDEGATE_PORT`; settings by their names (`memory_limit_bytes=…`)."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        started = start_command(command, Path(folder), {**settings, "port": port})
        running = Service(started.process, started.log, f"http://127.0.0.1:{port}")
        try:
            if not wait_until(running.answers, START_SECONDS, 0.05):
                raise SystemExit(f"the service does not answer:\n{running.log.read_text()[-3000:]}")
            yield running
        finally:
            with suppress(subprocess.TimeoutExpired):
                running.terminate()
            running.kill()


@contextmanager
def tidegate(**settings: object) -> Iterator[Service]:
    """Run the gate as it is shipped, with the embedded store."""
    with service(tidegate_command(), "serve", **settings) as running:
        yield running


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a Python module of this repository."""
    return sys.executable, "-m", name, *arguments
