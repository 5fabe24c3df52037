"""Spoils a rule in small ways, each of which its promtool tests have to notice."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeGuard

import promql_parser
import yaml
from promql_parser import BinaryExpr, Expr

from tests.support.deployed_rules import TEST_FILES, Rule, promtool, read, rules
from tests.support.installations import side_by_side
from tests.support.label_mutants import spoilt_labels
from tests.support.matcher_mutants import changes_of_matchers
from tests.support.rule_tests import needed
from tests.support.window_mutants import spoilt_windows

Change = Callable[[Expr], Expr | None]
"""What a node of an expression becomes; None for one that is not changed so."""

FLIPPED = {">": "<=", "<": ">=", "==": "!=", "!=": "=="}
SETS = {"and", "or", "unless"}
FACTORS = (0.75, 1.25)
UNSPOILT = "not at all"
PATIENCE_SECONDS = 900.0
NOTICED = re.compile(r'(?:alertname: |expr: ".*?|rule: )[Ss]poilt(\d+)')
BROKEN = re.compile(r"rule: [Ss]poilt(\d+)")
SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Mutant:
    """A spoilt rule and how it was spoilt."""

    how: str
    written: dict[str, Any]


def mutants(alert: Rule) -> Iterator[Mutant]:
    """The alert as it is, then each comparison turned, condition left out, threshold and `for` changed."""
    yield Mutant(UNSPOILT, alert.written)
    spoilt = _spoilt(alert, _changes_of_conditions())
    for how, expression in {"never": "vector(0) > 1", "always": "vector(1)", **spoilt}.items():
        yield Mutant(how, alert.written | {"expr": expression})
    for duration, how in (("for", "at once"), ("keep_firing_for", "letting go at once")):
        if duration in alert.written:
            kept = {name: value for name, value in alert.written.items() if name != duration}
            yield Mutant(how, kept)
    if "for" in alert.written:
        seconds = int(alert.written["for"][:-1]) * SECONDS[alert.written["for"][-1]]
        yield Mutant("twice as late", alert.written | {"for": f"{2 * seconds}s"})


def mutants_by_matchers(rule: Rule) -> Iterator[Mutant]:
    """The rule as it is, then each matcher of a label with another value, turned, and dropped."""
    yield Mutant(UNSPOILT, rule.written)
    for how, expression in _spoilt(rule, changes_of_matchers()).items():
        yield Mutant(how, rule.written | {"expr": expression})


def mutants_by_labels(rule: Rule) -> Iterator[Mutant]:
    """The rule as it is, then each list of labels with one label less."""
    yield Mutant(UNSPOILT, rule.written)
    for how, expression in spoilt_labels(rule.expression):
        yield Mutant(how, rule.written | {"expr": expression})


def mutants_by_windows(rule: Rule) -> Iterator[Mutant]:
    """The rule as it is, then each window halved and doubled, and each offset dropped and doubled."""
    yield Mutant(UNSPOILT, rule.written)
    for how, expression in spoilt_windows(rule.expression):
        yield Mutant(how, rule.written | {"expr": expression})


def survivors(rule: Rule, spoilt: Sequence[Mutant], folder: Path, apart_by: str | None = None) -> list[str]:
    """How the rule was spoilt without any of its tests noticing.

    Given a label, the tests are run side by side, each with a value of its own of it.
    """
    left = dict(enumerate(spoilt))
    while True:
        noticed, broken = _noticed(rule, left, folder, apart_by)
        left = {number: mutant for number, mutant in left.items() if number not in noticed}
        if not broken:
            return [mutant.how for mutant in left.values()]


def survivors_apart(rule: Rule, unnoticed: Sequence[str], label: str, folder: Path) -> list[str]:
    """What is left when the tests side by side have noticed what they can of those without the label."""
    lost = [
        one for one in mutants_by_labels(rule) if f" without {label} " in one.how and one.how in unnoticed
    ]
    if not lost:
        return list(unnoticed)
    folder.mkdir()
    left = survivors(rule, [Mutant(UNSPOILT, rule.written), *lost], folder, label)
    assert left[:1] == [UNSPOILT], f"tests of the rule do not hold beside one another with a {label} each"
    return [how for how in unnoticed if how in left or how not in {one.how for one in lost}]


def _noticed(
    rule: Rule, spoilt: Mapping[int, Mutant], folder: Path, apart_by: str | None
) -> tuple[set[int], set[int]]:
    """The mutants that the tests notice, and which of those cannot be evaluated: promtool ends a test there.

    All mutants go into one rules file under names of their own, and every test is about each of them.
    """
    names = needed({rule.name}) - {rule.name}
    recorded = [one.written for one in rules() if one.name in names and not one.is_alert]
    named = (_named(rule, mutant, number) for number, mutant in spoilt.items())
    _write_rules(folder / "spoilt", list(chain.from_iterable(named)))
    _write_rules(folder / "recording", recorded)
    for file in TEST_FILES:
        _write_tests(rule, file, folder, spoilt, apart_by)
    files = folder.glob("*.test.yml")
    output = promtool("test", "rules", *files, timeout_seconds=PATIENCE_SECONDS).stdout
    noticed, broken = ({int(found) for found in one.findall(output)} for one in (NOTICED, BROKEN))
    return noticed, broken


def _named(rule: Rule, mutant: Mutant, number: int) -> list[dict[str, Any]]:
    """The mutant under its own name, and a recording rule's others of the same series beside it."""
    kind = "alert" if rule.is_alert else "record"
    same = [one.written for one in rules() if one.name == rule.name and one.written is not rule.written]
    name = _name(rule, number)
    # An alert that goes by whether it fires already goes by the mutant.
    own, new = f'alertname="{rule.name}"', f'alertname=~"{rule.name}|{name}"'
    return [one | {kind: name, "expr": one["expr"].replace(own, new)} for one in (mutant.written, *same)]


def _name(rule: Rule, number: int) -> str:
    return f"Spoilt{number}" if rule.is_alert else f"spoilt{number}:{rule.name}"


def _changes_of_conditions() -> list[tuple[str, Change]]:
    return [
        ("turned", _turned),
        *((f"times {factor}", lambda node, factor=factor: _scaled(node, factor)) for factor in FACTORS),
        ("without the right of", lambda node: _side(node, "lhs")),
        ("without the left of", lambda node: _side(node, "rhs")),
    ]


def _spoilt(rule: Rule, changes: Iterable[tuple[str, Change]]) -> dict[str, str]:
    tree, found = promql_parser.parse(rule.expression), {}
    for how, change in changes:
        for at, old in enumerate(_changeable(tree, change)):
            found[f"{how}: {old} (number {at})"] = _changed(tree, change, at)
    return found


def _changeable(tree: Expr, change: Change) -> list[str]:
    found: list[str] = []

    def visit(node: Expr) -> None:
        if change(node) is not None:
            found.append(str(node))

    promql_parser.walk(tree, None, visit)
    return found


def _changed(tree: Expr, change: Change, wanted: int) -> str:
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


def _write_tests(
    rule: Rule, file: Path, folder: Path, numbers: Collection[int], apart_by: str | None
) -> None:
    """What a test file has about the rule, asked of each mutant."""
    document = read(file)
    tests = [test for test in document["tests"] if _is_about(rule, test)]
    if apart_by:
        tests = list(side_by_side(rule, tests, apart_by))
    if tests:
        is_recorded = any("recording" in name for name in document["rule_files"])
        groups = ["recording", "spoilt"] if is_recorded else ["spoilt"]
        asked = [_asked(rule, test, numbers) for test in tests]
        document = document | {"rule_files": groups, "group_eval_order": groups, "tests": asked}
        (folder / file.name).write_text(yaml.dump(document, Dumper=yaml.CSafeDumper))


def _is_about(rule: Rule, test: dict[str, Any]) -> bool:
    return any(case["alertname"] == rule.name for case in test.get("alert_rule_test", ())) or any(
        rule.name in case["expr"] for case in test.get("promql_expr_test", ())
    )


def _asked(rule: Rule, test: dict[str, Any], numbers: Collection[int]) -> dict[str, Any]:
    """The test with what it asks of the rule, once for each mutant, and without what it asks of others."""
    of_alert = (one for one in test.get("alert_rule_test", ()) if one["alertname"] == rule.name)
    of_series = (one for one in test.get("promql_expr_test", ()) if rule.name in one["expr"])
    return test | {
        "alert_rule_test": [
            one | {"alertname": _name(rule, number)} for one in of_alert for number in numbers
        ],
        "promql_expr_test": [
            json.loads(json.dumps(one).replace(rule.name, _name(rule, number)))
            for one in of_series
            for number in numbers
        ],
    }


def _write_rules(file: Path, written: list[dict[str, Any]]) -> None:
    """One group named as the file; promtool takes an empty one."""
    file.write_text(yaml.safe_dump({"groups": [{"name": file.name, "rules": written}]}))
