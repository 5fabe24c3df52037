"""What the tests of rules, dashboards and runbooks share: the files, promtool, and PromQL as a tree."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RUNBOOKS = ROOT / "deploy" / "runbooks"
RULE_FILES = sorted(PROMETHEUS.glob("rules/*.rules.yml"))
TEST_FILES = sorted(PROMETHEUS.glob("tests/*.test.yml"))
# Tests run beside one another: promtool on one thread, with fewer collections, takes a third less CPU.
FRUGAL = {"GOMAXPROCS": "1", "GOGC": "400"}


@dataclass(frozen=True)
class Rule:
    """One recording or alert rule as it is written."""

    file: Path
    group: str
    written: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the alert, or of the series that the rule records."""
        return str(self.written.get("alert") or self.written["record"])

    @property
    def is_alert(self) -> bool:
        """Whether the rule alerts; any other records."""
        return "alert" in self.written

    @property
    def expression(self) -> str:
        """The PromQL of the rule."""
        return str(self.written["expr"])

    def __str__(self) -> str:
        return f"{self.file.name}: {self.name}"


@dataclass(frozen=True)
class Case:
    """One moment of a promtool test: whether the alert fires then, and what it then says."""

    file: Path
    test: str
    alert: str
    expected: list[dict[str, Any]]


@cache
def read(file: Path) -> dict[str, Any]:
    """A YAML file, not to be changed."""
    document: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)
    return document


@cache
def rules() -> tuple[Rule, ...]:
    """All rules, in the order of their files."""
    return tuple(
        Rule(file, group["name"], rule)
        for file in RULE_FILES
        for group in read(file)["groups"]
        for rule in group["rules"]
    )


@cache
def alerts() -> tuple[Rule, ...]:
    """Return the rules that raise an alert."""
    return tuple(rule for rule in rules() if rule.is_alert)


@cache
def cases() -> tuple[Case, ...]:
    """All moments of all promtool tests."""
    return tuple(
        Case(file, group["name"], case["alertname"], case.get("exp_alerts") or [])
        for file in TEST_FILES
        for group in read(file)["tests"]
        for case in group.get("alert_rule_test", ())
    )


def promtool(
    *arguments: str | Path, given: str | None = None, timeout_seconds: float = 100
) -> subprocess.CompletedProcess[str]:
    """Run promtool, all it says in `stdout`; a missing one fails the test that needs it."""
    program = shutil.which("promtool")
    assert program, "promtool is missing; run scripts/system-packages"
    return subprocess.run(
        [program, *map(str, arguments)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_seconds,
        input=given or "",
        env=os.environ | FRUGAL,
    )


def nodes(expression: str) -> Iterator[promql_parser.Expr]:
    """Every node of a PromQL expression."""
    found: list[promql_parser.Expr] = []
    promql_parser.walk(promql_parser.parse(expression), found.append)
    yield from found


def series_names(expression: str) -> set[str]:
    """The names of the series an expression reads."""
    selectors = (node for node in nodes(expression) if isinstance(node, promql_parser.VectorSelector))
    return {name for selector in selectors for name in _names(selector)}


def _names(selector: promql_parser.VectorSelector) -> Iterator[str]:
    if selector.name:
        yield selector.name
    yield from (matcher.value for matcher in selector.matchers.matchers if matcher.name == "__name__")
