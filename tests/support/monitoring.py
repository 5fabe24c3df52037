"""Real Prometheus and Alertmanager for tests: free loopback ports, temporary folders, always stopped.

Start them from the main thread, as the stores in `servers.py`: Linux kills them when that thread ends.
"""

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.support.processes import die_with, free_port, stop_all, wait_until

START_SECONDS = 60.0


class MonitorStartError(RuntimeError):
    """A program is missing or did not come up; the message ends with the tail of its log."""


@dataclass
class Monitor:
    """One running program with its HTTP address; files of its own go below `folder`."""

    process: subprocess.Popen[bytes]
    url: str
    folder: Path

    @property
    def log(self) -> str:
        """The text that the server wrote so far."""
        return (self.folder / "log").read_text(errors="replace")

    def get(self, path: str, **params: Any) -> Any:
        """The JSON answer of its API."""
        answer = httpx.get(f"{self.url}{path}", params=params, trust_env=False, timeout=60, verify=False)
        assert answer.status_code == 200, f"{path} {params}: {answer.status_code} {answer.text}"
        return answer.json()

    def is_ready(self) -> bool:
        """Ask the server whether it is ready."""
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False, timeout=10, verify=False).is_success
        except httpx.HTTPError:
            return False


class Prometheus(Monitor):
    """A Prometheus."""

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector an expression gives now; each has `metric` and `value`."""
        found: list[dict[str, Any]] = self.get("/api/v1/query", query=expression)["data"]["result"]
        return found

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """The matrix of an expression; times are seconds since the epoch."""
        data = self.get("/api/v1/query_range", query=expression, start=start, end=end, step=step)["data"]
        found: list[dict[str, Any]] = data["result"]
        return found

    def value(self, expression: str) -> float | None:
        """The value of the first series, None when there is none."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None

    def alerts(self, name: str) -> list[dict[str, Any]]:
        """The pending and firing alerts of a rule."""
        every = self.get("/api/v1/alerts")["data"]["alerts"]
        return [alert for alert in every if alert["labels"]["alertname"] == name]

    def unhealthy(self) -> list[str]:
        """Targets that are not up and rules that failed, with the error."""
        targets = self.get("/api/v1/targets", state="active")["data"]["activeTargets"]
        groups = self.get("/api/v1/rules")["data"]["groups"]
        wrong = [f"{t['scrapeUrl']}: {t['health']} {t['lastError']}" for t in targets if t["health"] != "up"]
        rules = (rule for group in groups for rule in group["rules"])
        return wrong + [f"{r['name']}: {r.get('lastError', '')}" for r in rules if r["health"] == "err"]


class Alertmanager(Monitor):
    """An Alertmanager."""

    def alerts(self, name: str) -> list[dict[str, Any]]:
        """Return the alerts of a rule that Alertmanager holds and that are not resolved."""
        every: list[dict[str, Any]] = self.get("/api/v2/alerts")
        return [alert for alert in every if alert["labels"]["alertname"] == name]


AnyMonitor = TypeVar("AnyMonitor", bound=Monitor)


@contextmanager
def prometheus(config: Path, *options: str, port: int | None = None) -> Iterator[Prometheus]:
    """A Prometheus with this configuration file; ready when handed out, scraping soon after."""
    command = (
        *(_program("prometheus"), f"--config.file={config}", "--storage.tsdb.path=data"),
        *("--storage.tsdb.retention.time=1h", "--log.level=warn", *options),
    )
    with _started(command, port or free_port()) as (process, url, folder):
        yield _ready(Prometheus(process, url, folder))


@contextmanager
def alertmanager(config: Path, *options: str, port: int | None = None) -> Iterator[Alertmanager]:
    """An Alertmanager with this configuration file, without a cluster; ready when handed out."""
    command = (
        *(_program("prometheus-alertmanager", "alertmanager"), f"--config.file={config}"),
        *("--storage.path=data", "--cluster.listen-address=", "--log.level=debug", *options),
    )
    with _started(command, port or free_port()) as (process, url, folder):
        yield _ready(Alertmanager(process, url, folder))


def _program(*names: str) -> str:
    """The first of the names that is installed: Debian calls one of them differently."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        raise MonitorStartError(f"{names[0]} is missing; run scripts/system-packages")
    return found


@contextmanager
def _started(command: Sequence[str], port: int) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    folder = Path(tempfile.mkdtemp(prefix="tidegate-monitor-"))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=functools.partial(die_with, os.getpid()),  # noqa: PLW1509  from the main thread only
        )
    try:
        yield process, f"http://127.0.0.1:{port}", folder
    finally:
        stop_all([process])
        shutil.rmtree(folder, ignore_errors=True)


def _ready(monitor: AnyMonitor) -> AnyMonitor:
    settled = wait_until(lambda: monitor.process.poll() is not None or monitor.is_ready(), START_SECONDS)
    if not settled or monitor.process.returncode is not None:
        raise MonitorStartError(f"{monitor.process.args!r} did not start:\n{monitor.log[-2000:]}")
    return monitor
