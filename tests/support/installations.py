"""Makes one test of all tests of a rule: installations side by side, each told what it is told alone.

A rule that forgets `namespace` or `job` in a list of labels goes by what is another installation's.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from tests.support.deployed_rules import Rule

Test = dict[str, Any]
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def side_by_side(rule: Rule, tests: Sequence[Test], label: str) -> Iterator[Test]:
    """Yield the tests of each interval as one, each of them with a value of its own of the label."""
    for interval in dict.fromkeys(test["interval"] for test in tests):
        of_it = [(f"beside-{at}-", test) for at, test in enumerate(tests) if test["interval"] == interval]
        yield {
            "name": f"All of {interval}, each with a {label} of its own",
            "interval": interval,
            "input_series": [one for side, test in of_it for one in _moved(test, label, side)],
            "promql_expr_test": [one for side, test in of_it for one in _asked(rule, test, label, side)],
        }


def _moved(test: Test, label: str, side: str) -> Iterator[dict[str, Any]]:
    for one in test["input_series"]:
        yield one | {"series": _beside(str(one["series"]), label, side)}


def _asked(rule: Rule, test: Test, label: str, side: str) -> Iterator[dict[str, Any]]:
    """What the test expects of an alert or a recorded series, asked of those of its side alone."""
    chosen = f'{label}=~"{side}.*"'
    for case in test.get("alert_rule_test", ()):
        if case["alertname"] == rule.name:
            series = (_fired(rule, one["exp_labels"]) for one in case["exp_alerts"] or ())
            yield {
                "expr": f'ALERTS{{alertname="{rule.name}", alertstate="firing", {chosen}}}',
                "eval_time": case["eval_time"],
                "exp_samples": [{"labels": _beside(one, label, side), "value": 1} for one in series],
            }
    named = re.compile(rf"({'ALERTS' if rule.is_alert else re.escape(rule.name)})(?:\{{([^}}]*)\}})?")
    for case in test.get("promql_expr_test", ()):
        if rule.name in case["expr"]:
            yield case | {
                "expr": named.sub(lambda found: f"{found[1]}{{{_and(found[2])}{chosen}}}", case["expr"]),
                "exp_samples": [
                    one | {"labels": _beside(one["labels"], label, side)} for one in case["exp_samples"] or ()
                ],
            }


def _and(matchers: str | None) -> str:
    return f"{matchers}, " if matchers else ""


def _fired(rule: Rule, labels: dict[str, Any]) -> str:
    return _written("ALERTS", {"alertname": rule.name, "alertstate": "firing"} | labels)


def _beside(series: str, label: str, side: str) -> str:
    name, _, labels = series.partition("{")
    found = dict(LABEL.findall(labels))
    return _written(name, found | {label: side + found.get(label, "")})


def _written(name: str, labels: dict[str, Any]) -> str:
    return name + "{" + ", ".join(f'{label}="{value}"' for label, value in labels.items()) + "}"
