"""Gates that refuse to start, and the processes that gates leave or keep."""

import re
import subprocess
from pathlib import Path

import psutil

from tests.support.gate import GateProcess, environment_of, tidegate_command

EXIT_SECONDS = 60.0


def refused(**settings: object) -> subprocess.CompletedProcess[str]:
    """Run a gate that is expected to end by itself."""
    return subprocess.run(
        (tidegate_command(), "serve"),
        stdin=subprocess.DEVNULL,
        env=environment_of(settings),
        capture_output=True,
        text=True,
        timeout=EXIT_SECONDS,
        check=False,
    )


def store_processes(gate: GateProcess) -> list[psutil.Process]:
    """The stores that this gate started and that run now."""
    try:
        children = psutil.Process(gate.process.pid).children()
    except psutil.NoSuchProcess:
        return []
    return [child for child in children if _is_store(child)]


def store_socket(gate: GateProcess) -> str:
    """The unix socket of the store that this gate started, which its process title names."""
    [store] = store_processes(gate)
    [path] = re.findall(r"unixsocket:(\S+)", " ".join(store.cmdline()))
    return str(path)


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
