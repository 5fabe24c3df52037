"""Gates and their rivals under measurement: a process with a port, and its children."""

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import psutil

from benchmarks.common.plan import Target
from tests.support.gate import START_SECONDS, GateProcess, started_by, tidegate_command
from tests.support.processes import free_port, wait_until


@dataclass
class Service(GateProcess):
    """A running service that listens on the port it was given."""

    def pids(self) -> dict[str, list[int]]:
        """The processes of `gate`, the service itself and its workers, and of `store`, if it started one."""
        main = psutil.Process(self.process.pid)
        parts: dict[str, list[int]] = {"gate": [main.pid]}
        for child in main.children(recursive=True):
            parts.setdefault("store" if "valkey" in child.name() else "gate", []).append(child.pid)
        return parts

    def resident(self) -> dict[str, int]:
        """Resident bytes of each part."""
        return {
            part: sum(psutil.Process(pid).memory_info().rss for pid in pids)
            for part, pids in self.pids().items()
        }

    def target(self) -> Target:
        """Return where the load goes and whose CPU is measured."""
        return Target(port_of(self.url), self.pids())

    def get(self, path: str) -> Any:
        """A JSON document of the service."""
        with self.client() as client:
            return client.get(path).json()

    def timed(self, paths: Iterable[str], expected: bytes, pause_seconds: float = 0.0) -> list[float]:
        """Seconds of each `GET` over one connection; an answer without the expected bytes ends the run."""
        took = []
        with closing(HTTPConnection("127.0.0.1", port_of(self.url))) as connection:
            for path in paths:
                started = time.perf_counter()
                connection.request("GET", path)
                answer = connection.getresponse().read()
                took.append(time.perf_counter() - started)
                if expected not in answer:
                    raise SystemExit(f"{path}: {answer[:300]!r}")
                time.sleep(pause_seconds)
        return took

    def has_settled(self) -> bool:
        """Whether the service serves, or has ended."""
        return self.process.poll() is not None or self.is_ready()


def port_of(url: str) -> int:
    """The port of an address."""
    return int(urlsplit(url).port or 0)


@contextmanager
def service(*command: str, **settings: object) -> Iterator[Service]:
    """Run a command that serves on `TIDEGATE_PORT`; settings by their names (`memory_limit_bytes=…`)."""
    port = free_port()
    with started_by(command, {**settings, "port": port}) as begun:
        running = Service(begun.process, begun.log, f"http://127.0.0.1:{port}")
        try:
            if not wait_until(running.has_settled, START_SECONDS, 0.05) or running.process.poll() is not None:
                raise SystemExit(f"the service does not serve:\n{running.log.read_text()[-3000:]}")
            yield running
        finally:  # its store ends with it, when it is given the time
            with suppress(subprocess.TimeoutExpired):
                running.terminate()


def tidegate(**settings: object) -> AbstractContextManager[Service]:
    """Run the gate as it is shipped, with the embedded store."""
    return service(tidegate_command(), "serve", **settings)


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a Python module of this repository."""
    return sys.executable, "-m", name, *arguments
