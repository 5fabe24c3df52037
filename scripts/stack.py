"""The stack without containers, on loopback: gate with its own Valkey, Prometheus, Alertmanager.

Ports by STACK_GATE_PORT (8000), STACK_PROMETHEUS_PORT (9090) and STACK_ALERTMANAGER_PORT (9093); settings of
the gate by TIDEGATE_… as ever. All files lie in a temporary folder, which goes with the stack.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
START_SECONDS = 30
STOP_SECONDS = 15
TAIL_LINES = 15
MAX_PORT = 65535
NO_PROXY = build_opener(ProxyHandler({}))


@dataclass
class Part:
    """One program of the stack."""

    name: str
    url: str
    page: str
    """The path that a browser opens."""
    ready: str
    command: Sequence[str]
    environment: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The file that the service writes to."""
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        """Start the program in a session of its own, so that Ctrl-C reaches this script alone."""
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603  commands of this file
                self.command,
                stdout=output,
                stderr=output,
                env=os.environ | self.environment,
                cwd=self.folder,
                start_new_session=True,
            )

    def is_ready(self) -> bool:
        """Ask the service whether it is ready."""
        try:
            with NO_PROXY.open(f"{self.url}{self.ready}", timeout=2) as answer:
                return bool(answer.status == 200)  # noqa: PLR2004  OK
        except (URLError, OSError, HTTPException):
            return False

    def has_ended(self) -> bool:
        """Tell whether the process was started and has ended."""
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when that does not help."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Stack:
    """The parts, started and stopped together; a signal is only noted: nothing is left half started."""

    def __init__(self) -> None:
        self._asked_to_stop = threading.Event()
        self._parts: list[Part] = []

    def run(self, folder: Path) -> int:
        """Start everything, say where it is, wait; 1 when a part does not come up or ends by itself."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self._asked_to_stop.set())
        try:
            self._parts = _parts(folder)
            return self._start() or self._wait()
        except ValueError as error:
            print(f"tidegate: {error}", file=sys.stderr)
            return 1
        finally:
            for part in reversed(self._parts):
                part.stop()

    def _start(self) -> int:
        for part in self._parts:
            # Before it starts: afterwards nobody could tell whose answer it is.
            if part.is_ready():
                print(f"{part.url} is taken already; set STACK_{part.name.upper()}_PORT.", file=sys.stderr)
                return 1
            if not self._asked_to_stop.is_set():
                part.start()
        for part in self._parts:
            if not self._is_up(part) and not self._asked_to_stop.is_set():
                return _failed(part, "did not come up")
        if not self._asked_to_stop.is_set():
            pages = (f"  {part.name:<13} {part.url}{part.page}" for part in self._parts)
            logs = (f"  {part.name:<13} {part.log}" for part in self._parts)
            lines = ["The stack is up:", *pages, "Their logs, which go with the stack:", *logs, _HINT]
            print("\n".join(lines), flush=True)
        return 0

    def _is_up(self, part: Part) -> bool:
        ends = time.monotonic() + START_SECONDS
        while time.monotonic() < ends and not part.has_ended() and not self._asked_to_stop.is_set():
            if part.is_ready():
                # The answer may be another's, who had the port first.
                return not part.has_ended()
            time.sleep(0.1)
        return False

    def _wait(self) -> int:
        while not self._asked_to_stop.wait(1):
            for part in self._parts:
                if part.has_ended():
                    return _failed(part, "has ended")
        print("\nStopping.", flush=True)
        return 0


def main() -> int:
    """Run the stack in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="tidegate-stack-", ignore_cleanup_errors=True) as folder:
        return Stack().run(Path(folder))


def _failed(part: Part, how: str) -> int:
    tail = "\n".join(part.log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
    print(f"{part.name} {how}:\n{tail}", file=sys.stderr)
    return 1


def _parts(folder: Path) -> list[Part]:
    ports = (("gate", 8000), ("prometheus", 9090), ("alertmanager", 9093))
    urls = {name: f"http://127.0.0.1:{_port(f'STACK_{name.upper()}_PORT', port)}" for name, port in ports}
    _write_prometheus(folder, urls)
    _write_alertmanager(folder, urls["gate"])
    gate = [
        str(Path(sys.executable).with_name("tidegate")),
        "serve",
        f"--port={urls['gate'].rpartition(':')[2]}",
    ]
    prometheus = [
        _program("prometheus"),
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=prometheus-data",
        f"--web.listen-address={urls['prometheus'].removeprefix('http://')}",
        f"--web.external-url={urls['prometheus']}",
        f"--web.user-assets={DEPLOY / 'runbooks'}",
    ]
    alertmanager = [
        _program("prometheus-alertmanager", "alertmanager"),
        "--config.file=alertmanager.yml",
        "--storage.path=alertmanager-data",
        f"--web.listen-address={urls['alertmanager'].removeprefix('http://')}",
        "--cluster.listen-address=",
    ]
    json_log = {"TIDEGATE_LOG_FORMAT": "json"}
    return [
        Part("gate", urls["gate"], "/", "/readyz", gate, json_log, folder),
        Part("alertmanager", urls["alertmanager"], "/#/alerts", "/-/ready", alertmanager, {}, folder),
        Part("prometheus", urls["prometheus"], "/", "/-/ready", prometheus, {}, folder),
    ]


def _port(variable: str, default: int) -> int:
    given = os.environ.get(variable, str(default))
    if not given.isdecimal() or not 0 < int(given) <= MAX_PORT:
        raise ValueError(f"{variable}={given}: must be a port from 1 to {MAX_PORT}")
    return int(given)


def _write_prometheus(folder: Path, urls: dict[str, str]) -> None:
    shutil.copy(DEPLOY / "prometheus" / "prometheus.yml", folder)
    shutil.copytree(DEPLOY / "prometheus" / "rules", folder / "rules")
    shutil.copytree(DEPLOY / "prometheus" / "targets", folder / "targets")
    for name, file in (("gate", "tidegate"), ("prometheus", "prometheus"), ("alertmanager", "alertmanager")):
        address = urls[name].removeprefix("http://")
        (folder / "targets" / f"{file}.yml").write_text(f'- targets: ["{address}"]\n', encoding="utf-8")


def _write_alertmanager(folder: Path, gate_url: str) -> None:
    text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8")
    (folder / "alertmanager.yml").write_text(text.replace("http://gate:8000", gate_url), encoding="utf-8")
    (folder / "secrets").mkdir(mode=0o700)
    (folder / "secrets" / "tidegate_token").write_text(_admin_token(), encoding="utf-8")


def _admin_token() -> str:
    """Return the first token that the gate takes; without any it takes whatever Alertmanager sends."""
    file = os.environ.get("TIDEGATE_ADMIN_TOKENS_FILE")
    if not file:
        return os.environ.get("TIDEGATE_ADMIN_TOKENS", "").split(",")[0].strip() or "none is needed"
    try:
        return Path(file).read_text(encoding="utf-8").split()[0]
    except (OSError, IndexError) as error:
        raise ValueError(f"TIDEGATE_ADMIN_TOKENS_FILE: no token can be read from {file}: {error}") from None


def _program(*names: str) -> str:
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin"
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return found
    raise ValueError(f"{names[0]} is not installed; run scripts/system-packages as root, or see its list")


_HINT = (
    "Grafana is not packaged by Debian: `make up` starts it with the rest in containers.\n"
    "Ctrl-C stops everything."
)

if __name__ == "__main__":
    sys.exit(main())
