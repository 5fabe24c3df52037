"""Runs a file of promtool tests, each test with the rules that it is about instead of all of the file's.

promtool evaluates every rule at every step of every test, some fifty rules for a test of one alert.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tests.support.deployed_rules import Rule, promtool, read, rules, series_names

_Named = frozenset[str]


def complaints(file: Path, folder: Path) -> str:
    """Run the tests of a file, their rules cut to those needed; what promtool says, nothing if all pass."""
    document = read(file)
    loaded = [(file.parent / name).resolve() for name in document["rule_files"]]
    tests_by_rules: dict[_Named, list[dict[str, Any]]] = {}
    for test in document["tests"]:
        tests_by_rules.setdefault(frozenset(needed(_asked(test))), []).append(test)
    files = [
        _written(folder / str(number), document, loaded, names, tests)
        for number, (names, tests) in enumerate(tests_by_rules.items())
    ]
    done = promtool("test", "rules", *files)
    return "" if done.returncode == 0 else done.stdout


def needed(names: Iterable[str]) -> set[str]:
    """Return which of these are rules, and the rules that those read, also in their texts, and so on."""
    found: set[str] = set()
    wider = set(names)
    while wider - found:
        found |= wider
        wider = {name for rule in rules() if rule.name in found for name in _read_by(rule)}
    return found & {rule.name for rule in rules()}


def _asked(test: dict[str, Any]) -> set[str]:
    """The alerts and recorded series that a test asks for."""
    alerts = {case["alertname"] for case in test.get("alert_rule_test", ())}
    expressions = " ".join(case["expr"] for case in test.get("promql_expr_test", ()))
    return alerts | {rule.name for rule in rules() if rule.name in expressions}


def _read_by(rule: Rule) -> set[str]:
    texts = rule.expression + str(rule.written.get("annotations", ""))
    return series_names(rule.expression) | {other.name for other in rules() if other.name in texts}


def _written(
    folder: Path, document: dict[str, Any], loaded: list[Path], names: _Named, tests: list[dict[str, Any]]
) -> Path:
    """The tests that need the same rules, and beside them the groups of the file with those alone."""
    folder.mkdir()
    groups = [
        group | {"rules": kept}
        for file in loaded
        for group in read(file)["groups"]
        if (kept := [rule for rule in group["rules"] if (rule.get("alert") or rule["record"]) in names])
    ]
    order = [name for name in document.get("group_eval_order", ()) if name in {one["name"] for one in groups}]
    cut = document | {"rule_files": ["cut.rules.yml"], "group_eval_order": order, "tests": tests}
    (folder / "cut.rules.yml").write_text(yaml.dump({"groups": groups}, Dumper=yaml.CSafeDumper))
    path = folder / "cut.test.yml"
    path.write_text(yaml.dump(cut, Dumper=yaml.CSafeDumper))
    return path
