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
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
START_SECONDS = 30
STOP_SECONDS = 15
TAIL_LINES = 15
NO_PROXY = build_opener(ProxyHandler({}))


@dataclass
class Part:
    """One program of the stack."""

    name: str
    url: str
    ready: str
    command: Sequence[str]
    environment: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Where it writes."""
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches this script alone."""
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
        """Whether it serves."""
        try:
            with NO_PROXY.open(f"{self.url}{self.ready}", timeout=2) as answer:
                return bool(answer.status == 200)  # noqa: PLR2004  OK
        except (URLError, OSError):
            return False

    def has_ended(self) -> bool:
        """Whether it is gone."""
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


class Stopped(Exception):
    """Somebody asked the stack to stop."""


def main() -> int:
    """Start everything, say where it is, wait; 1 when a part does not come up or ends by itself."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    folder = Path(tempfile.mkdtemp(prefix="tidegate-stack-"))
    parts = _parts(folder)
    try:
        return _run(parts)
    except Stopped:
        print("\nStopping.", flush=True)
        return 0
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        for part in reversed(parts):
            part.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _run(parts: Sequence[Part]) -> int:
    for part in parts:
        # Before it starts: afterwards nobody could tell whose answer it is.
        if part.is_ready():
            print(f"{part.url} is taken already; set STACK_{part.name.upper()}_PORT.", file=sys.stderr)
            return 1
        part.start()
    for part in parts:
        if not _await(part):
            return _failed(part, "did not come up")
    print(
        "\n".join(["The stack is up:", *(f"  {part.name:<13} {part.url}" for part in parts), _HINT]),
        flush=True,
    )
    while True:
        for part in parts:
            if part.has_ended():
                return _failed(part, "has ended")
        time.sleep(1)


def _await(part: Part) -> bool:
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and not part.has_ended():
        if part.is_ready():
            return True
        time.sleep(0.1)
    return False


def _failed(part: Part, how: str) -> int:
    tail = "\n".join(part.log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
    print(f"{part.name} {how}:\n{tail}", file=sys.stderr)
    return 1


def _parts(folder: Path) -> list[Part]:
    urls = {
        name: f"http://127.0.0.1:{os.environ.get(f'STACK_{name.upper()}_PORT', port)}"
        for name, port in (("gate", 8000), ("prometheus", 9090), ("alertmanager", 9093))
    }
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
        Part("gate", urls["gate"], "/readyz", gate, json_log, folder),
        Part("alertmanager", urls["alertmanager"], "/-/ready", alertmanager, {}, folder),
        Part("prometheus", urls["prometheus"], "/-/ready", prometheus, {}, folder),
    ]


def _write_prometheus(folder: Path, urls: dict[str, str]) -> None:
    shutil.copy(DEPLOY / "prometheus" / "prometheus.yml", folder)
    shutil.copytree(DEPLOY / "prometheus" / "rules", folder / "rules")
    shutil.copytree(DEPLOY / "prometheus" / "targets", folder / "targets")
    for name, file in (("gate", "tidegate"), ("prometheus", "prometheus"), ("alertmanager", "alertmanager")):
        address = urls[name].removeprefix("http://")
        (folder / "targets" / f"{file}.yml").write_text(f'- targets: ["{address}"]\n')


def _write_alertmanager(folder: Path, gate_url: str) -> None:
    text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text()
    (folder / "alertmanager.yml").write_text(text.replace("http://gate:8000", gate_url))
    (folder / "secrets").mkdir(mode=0o700)
    tokens = os.environ.get("TIDEGATE_ADMIN_TOKENS") or "none is needed"
    (folder / "secrets" / "tidegate_token").write_text(tokens.split(",")[0].strip())


def _program(*names: str) -> str:
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin"
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return found
    raise SystemExit(f"{names[0]} is not installed; run scripts/system-packages as root, or see its list")


def _stop(_: int, __: FrameType | None) -> None:
    raise Stopped


_HINT = (
    "Grafana is not packaged by Debian: `make up` starts it with the rest in containers.\n"
    "Ctrl-C stops everything."
)

if __name__ == "__main__":
    sys.exit(main())
