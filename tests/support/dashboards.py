"""The dashboards as they are committed: panels, queries, alerts their descriptions name, variables put in."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.deployed_rules import ROOT

FOLDER = ROOT / "grafana" / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))
QUERIED = {"timeseries", "stat", "state-timeline"}
# `Orange from 0.9: alert X.`, `Past the line `limit`: alert X.`, `See alert X.`
NAMES_ALERT = re.compile(
    r"(?:(?P<colour>Orange|Red) (?P<side>from|below) (?P<number>[\d.e+]+)"
    r"|Past the line `(?P<line>.+?)`|See)(?:: | )alert (?P<alert>\w+)\."
)


@dataclass(frozen=True)
class Named:
    """An alert as a panel's description names it: with a number, a line, or alone."""

    alert: str
    colour: str | None
    number: float | None
    line: str | None


@dataclass(frozen=True)
class Query:
    """One query of a panel, or of an annotation."""

    board: str
    panel: str
    expression: str
    legend: str

    def __str__(self) -> str:
        return f"{self.board}: {self.panel}: {self.legend}"


@cache
def read(file: Path) -> dict[str, Any]:
    """A dashboard, not to be changed."""
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The panels in reading order, without the headings of rows."""
    yield from (panel for panel in board["panels"] if panel["type"] != "row")


def alerts_named(panel: dict[str, Any]) -> list[Named]:
    """The alerts the description of a panel names."""
    return [
        Named(
            alert=found["alert"],
            colour=found["colour"].lower() if found["colour"] else None,
            number=float(found["number"]) if found["number"] else None,
            line=found["line"],
        )
        for found in NAMES_ALERT.finditer(panel["description"])
    ]


def queries() -> list[Query]:
    """Every query of every dashboard, annotations included; those that are the same everywhere, once."""
    found: dict[tuple[str, str], Query] = {}
    for file in FILES:
        board = read(file)
        every = [_of_annotation(one) for one in board["annotations"]["list"] if "expr" in one]
        every += [
            Query(file.stem, panel["title"], target["expr"], target["legendFormat"])
            for panel in panels(board)
            for target in panel["targets"]
        ]
        for query in every:
            found.setdefault((query.board, f"{query.panel} {query.legend} {query.expression}"), query)
    return list(found.values())


def _of_annotation(annotation: dict[str, Any]) -> Query:
    return Query("annotation", annotation["name"], annotation["expr"], annotation["titleFormat"])


def filled(expression: str, values: dict[str, str]) -> str:
    """The expression with its variables replaced, as Grafana does it; one without a value is an error."""
    return re.sub(r"\$([a-z_]\w*)|\$\{([a-z_]\w*)\}", lambda found: values[found[1] or found[2]], expression)
