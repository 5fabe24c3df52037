"""Gates whose start, end or surroundings are what a test is about."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support.gate import GateProcess, start_gate, tidegate_command

EXIT_SECONDS = 60.0


@contextmanager
def started(**settings: object) -> Iterator[GateProcess]:
    """A gate that was just started, ready or not; killed in the end if it still runs."""
    folder = Path(tempfile.mkdtemp(prefix="gate-test-"))
    gate = start_gate(folder, **settings)
    try:
        yield gate
    finally:
        if gate.process.poll() is None:
            gate.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def started_with(*arguments: str, **settings: object) -> Iterator[GateProcess]:
    """Start a gate with arguments on the command line, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="gate-test-") as folder:
        log = Path(folder) / "gate.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                _command(arguments),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(settings),
            )
        gate = GateProcess(process, log)
        try:
            yield gate
        finally:
            if process.poll() is None:
                gate.kill()


def refused(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run a gate that is expected to end by itself."""
    return subprocess.run(
        _command(arguments),
        stdin=subprocess.DEVNULL,
        env=_environment(settings),
        capture_output=True,
        text=True,
        timeout=EXIT_SECONDS,
        check=False,
    )


def has_port(gate: GateProcess) -> bool:
    """Tell whether the gate listens, and note where."""
    assert gate.process.poll() is None, gate.log.read_text()
    ports = [event["port"] for event in gate.events() if event.get("event") == "listening"]
    if ports:
        gate.url = f"http://127.0.0.1:{ports[0]}"
    return bool(ports)


def store_processes(gate: GateProcess) -> list[psutil.Process]:
    """The stores that this gate started and that run now."""
    try:
        children = psutil.Process(gate.process.pid).children()
    except psutil.NoSuchProcess:
        return []
    return [child for child in children if _is_store(child)]


def running_in(folder: Path) -> list[int]:
    """Process ids of all that was started with this folder for temporary files, children included."""
    return [process.pid for process in psutil.process_iter() if _temporary_folder(process) == str(folder)]


def _temporary_folder(process: psutil.Process) -> str | None:
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else process.environ().get("TMPDIR")
    except psutil.Error:
        return None


def _is_store(process: psutil.Process) -> bool:
    try:
        return "valkey" in process.name() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [tidegate_command(), "serve", *arguments]


def _environment(settings: dict[str, object]) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("TIDEGATE_")}
    given = {f"TIDEGATE_{name.upper()}": str(value) for name, value in settings.items()}
    return inherited | {"TIDEGATE_LOG_FORMAT": "json", "TIDEGATE_PORT": "0"} | given
