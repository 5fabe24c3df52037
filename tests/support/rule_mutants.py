"""Spoils an alert in small ways, each of which its promtool tests have to notice."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import promql_parser
import yaml
from promql_parser import BinaryExpr, Expr

from tests.support.deployed_rules import TEST_FILES, Rule, promtool, read, rules
from tests.support.rule_tests import needed

FLIPPED = {">": "<=", "<": ">=", "==": "!=", "!=": "=="}
SETS = {"and", "or", "unless"}
FACTORS = (0.75, 1.25)
UNSPOILT = "not at all"
SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Mutant:
    """A spoilt rule and how it was spoilt."""

    how: str
    written: dict[str, Any]


def mutants(alert: Rule) -> Iterator[Mutant]:
    """The alert as it is, then each comparison turned, condition left out, threshold and `for` changed."""
    yield Mutant(UNSPOILT, alert.written)
    for how, expression in {"never": "vector(0) > 1", "always": "vector(1)", **_spoilt(alert)}.items():
        yield Mutant(how, alert.written | {"expr": expression})
    for duration, how in (("for", "at once"), ("keep_firing_for", "letting go at once")):
        if duration in alert.written:
            kept = {name: value for name, value in alert.written.items() if name != duration}
            yield Mutant(how, kept)
    if "for" in alert.written:
        seconds = int(alert.written["for"][:-1]) * SECONDS[alert.written["for"][-1]]
        yield Mutant("twice as late", alert.written | {"for": f"{2 * seconds}s"})


def survivors(alert: Rule, folder: Path) -> list[str]:
    """How the alert can be spoilt without any of its tests noticing.

    All mutants go into one rules file under names of their own, and every test is about each of them.
    """
    spoilt = list(mutants(alert))
    names = needed({alert.name})
    recorded = [rule.written for rule in rules() if rule.name in names and not rule.is_alert]
    _write_rules(folder / "spoilt", [one.written | {"alert": f"Spoilt{at}"} for at, one in enumerate(spoilt)])
    _write_rules(folder / "recording", recorded)
    for file in TEST_FILES:
        _write_tests(alert, file, folder, len(spoilt))
    output = promtool("test", "rules", *folder.glob("*.test.yml")).stdout
    noticed = {int(number) for number in re.findall(r"alertname: Spoilt(\d+),", output)}
    return [one.how for at, one in enumerate(spoilt) if at not in noticed]


def _spoilt(alert: Rule) -> dict[str, str]:
    tree = promql_parser.parse(alert.expression)
    changes: list[tuple[str, Callable[[Expr], Expr | None]]] = [
        ("turned", _turned),
        *((f"times {factor}", lambda node, factor=factor: _scaled(node, factor)) for factor in FACTORS),
        ("without the right of", lambda node: _side(node, "lhs")),
        ("without the left of", lambda node: _side(node, "rhs")),
    ]
    found = {}
    for how, change in changes:
        for at, old in enumerate(_changeable(tree, change)):
            found[f"{how}: {old} (number {at})"] = _changed(tree, change, at)
    return found


def _changeable(tree: Expr, change: Callable[[Expr], Expr | None]) -> list[str]:
    found: list[str] = []

    def visit(node: Expr) -> None:
        if change(node) is not None:
            found.append(str(node))

    promql_parser.walk(tree, None, visit)
    return found


def _changed(tree: Expr, change: Callable[[Expr], Expr | None], wanted: int) -> str:
    seen = -1

    def visit(node: Expr) -> Expr | None:
        nonlocal seen
        new = change(node)
        seen += new is not None
        return new if seen == wanted and new is not None else None

    return promql_parser.transform(tree, None, visit).prettify()


def _turned(node: Expr) -> Expr | None:
    """`a > b` to `a <= b`."""
    if not _compares(node):
        return None
    return promql_parser.parse(f"{node.lhs}{_rest(node).replace(str(node.op), FLIPPED[str(node.op)], 1)}")


def _scaled(node: Expr, factor: float) -> Expr | None:
    """`a > b` to `a > factor * (b)`."""
    if not _compares(node) or str(node.rhs) == "0":
        return None
    operator = _rest(node).removesuffix(str(node.rhs))
    return promql_parser.parse(f"{node.lhs}{operator}{factor} * ({node.rhs})")


def _compares(node: Expr) -> TypeGuard[BinaryExpr]:
    return isinstance(node, BinaryExpr) and str(node.op) in FLIPPED


def _rest(node: BinaryExpr) -> str:
    """The node's text without its left side: the operator with what belongs to it, and the right side."""
    return str(node).removeprefix(str(node.lhs))


def _side(node: Expr, side: str) -> Expr | None:
    if not isinstance(node, BinaryExpr) or str(node.op) not in SETS:
        return None
    if side == "rhs" and str(node.op) == "unless":
        return None
    kept: Expr = getattr(node, side)
    return kept


def _write_tests(alert: Rule, file: Path, folder: Path, count: int) -> None:
    """What a test file has about the alert, asked of each mutant."""
    document = read(file)
    tests = []
    for test in document["tests"]:
        about = [case for case in test.get("alert_rule_test", ()) if case["alertname"] == alert.name]
        spoilt = [case | {"alertname": f"Spoilt{number}"} for case in about for number in range(count)]
        tests += [test | {"alert_rule_test": spoilt}] if spoilt else []
    if tests:
        is_recorded = any("recording" in name for name in document["rule_files"])
        groups = ["recording", "spoilt"] if is_recorded else ["spoilt"]
        document = document | {"rule_files": groups, "group_eval_order": groups, "tests": tests}
        (folder / file.name).write_text(yaml.dump(document, Dumper=yaml.CSafeDumper))


def _write_rules(file: Path, written: list[dict[str, Any]]) -> None:
    """One group named as the file; promtool takes an empty one."""
    file.write_text(yaml.dump({"groups": [{"name": file.name, "rules": written}]}, Dumper=yaml.CSafeDumper))
