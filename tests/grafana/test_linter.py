"""Grafana's dashboard-linter has nothing to say about the dashboards, and would."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import dashboard_linter as linter
from tests.support.dashboards import FILES, panels, read

Change = Callable[[dict[str, Any]], object]


def variable(board: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in board["templating"]["list"] if one["name"] == name)


def first_panel(board: dict[str, Any]) -> dict[str, Any]:
    return next(panels(board))


def ask(expression: str) -> Change:
    """The first query of a dashboard becomes another."""
    return lambda board: first_panel(board)["targets"][0].update(expr=expression)


SCOPE = 'job=~"$job", instance=~"$instance"'
BREAKS: dict[str, Change] = {
    "template-datasource-rule": lambda board: variable(board, "datasource").update(name="source"),
    "template-job-rule": lambda board: variable(board, "job").update(allValue=".*"),
    "template-instance-rule": lambda board: variable(board, "instance").update(multi=False),
    "template-label-promql-rule": lambda board: variable(board, "job").update(query="label_values(a{, job)"),
    "template-on-time-change-reload-rule": lambda board: variable(board, "job").update(refresh=1),
    "uneditable-dashboard": lambda board: board.update(editable=True),
    "panel-datasource-rule": lambda board: first_panel(board)["datasource"].update(uid="prometheus"),
    "panel-title-description-rule": lambda board: first_panel(board).update(description=""),
    "panel-units-rule": lambda board: first_panel(board)["fieldConfig"]["defaults"].update(unit="tx/s"),
    "panel-no-targets-rule": lambda board: first_panel(board).update(targets=[]),
    "panel-type": lambda board: first_panel(board).update(type="graph"),
    "target-promql-rule": ask(f"sum(up{{{SCOPE}}}"),
    "target-rate-interval-rule": ask(f"rate(a_total{{{SCOPE}}}[5m])"),
    "target-job-rule": ask('up{instance=~"$instance"}'),
    "target-instance-rule": ask('up{job=~"$job", instance="$instance"}'),
    "target-counter-agg-rule": ask(f"sum(a_total{{{SCOPE}}})"),
    "target-histogram-rule": ask(f"sum(rate(a_bucket{{{SCOPE}}}[$__rate_interval]))"),
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dashboard_breaks_no_rule(file: Path) -> None:
    assert linter.problems(read(file)) == []


@pytest.mark.parametrize("rule", BREAKS)
def test_each_rule_finds_what_breaks_it(rule: str) -> None:
    board = copy.deepcopy(read(FILES[0]))
    BREAKS[rule](board)
    assert [one.split(":")[0] for one in linter.problems(board)] == [rule]


def test_every_rule_is_tried() -> None:
    assert set(BREAKS) == {*linter.BOARD_RULES, *linter.PANEL_RULES, *linter.TARGET_RULES}


def test_every_exclusion_has_a_reason_and_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {
        f"{rule}: {entry['panel']}"
        for rule, found in linter.exclusions().items()
        for entry in found["entries"]
        if found["reason"]
    }
    monkeypatch.setattr(linter, "_excluded", lambda *_: False)
    every = [problem for file in FILES for problem in linter.problems(read(file))]
    assert {": ".join(one.split(": ")[:2]) for one in every} == listed
