"""The rules of Grafana's dashboard-linter, by name (https://github.com/grafana/dashboard-linter).

The tool itself is a Go program that no package index here has. Exclusions are read from `.lint` beside the
dashboards, as the tool does.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser
import yaml

from tests.support.dashboards import FOLDER, QUERIED, filled, panels
from tests.support.deployed_rules import nodes

SOURCES = ("$datasource", "${datasource}")
# What stands for variables while PromQL is parsed; the interval is one nobody would write.
MAGIC = {"__rate_interval": "11277964ms", "__range": "60m", "__interval": "5277964ms"}
UNITS = frozenset({"none", "short", "percentunit", "bytes", "s", "dtdurations", "reqps", "cps", "cpm"})
DEPRECATED = {"graph", "singlestat", "table-old", "grafana-piechart-panel", "grafana-worldmap-panel"}
RATES = {"rate", "irate", "increase"}

Board = dict[str, Any]
Problem = tuple[str, str]


@dataclass(frozen=True)
class Place:
    """A query and where it stands."""

    panel: str
    expression: str
    tree: promql_parser.Expr | None


def problems(board: Board) -> list[str]:
    """What breaks a rule and is not excluded: `rule: panel: what`."""
    found = [
        (name, panel, text)
        for name, rule in {**BOARD_RULES, **PANEL_RULES, **TARGET_RULES}.items()
        for panel, text in _applied(name, rule, board)
    ]
    return [f"{name}: {panel}: {text}" for name, panel, text in found if not _excluded(name, board, panel)]


def exclusions() -> dict[str, Any]:
    """The rules that are excluded, each with its reason and the panels."""
    document = yaml.safe_load((FOLDER / ".lint").read_text(encoding="utf-8"))
    listed: dict[str, Any] = document["exclusions"]
    return listed


def _excluded(rule: str, board: Board, panel: str) -> bool:
    entries = exclusions().get(rule, {}).get("entries", [])
    return any(one["dashboard"] == board["title"] and one["panel"] == panel for one in entries)


def _applied(name: str, rule: Callable[..., Iterator[str]], board: Board) -> Iterator[Problem]:
    if name in BOARD_RULES:
        yield from (("-", text) for text in rule(board))
    elif name in PANEL_RULES:
        yield from ((panel["title"], text) for panel in panels(board) for text in rule(panel))
    else:
        yield from ((place.panel, text) for place in _places(board) for text in rule(place))


def _places(board: Board) -> Iterator[Place]:
    names = {one["name"] for one in board["templating"]["list"]}
    for panel in panels(board):
        for target in panel.get("targets", []):
            yield Place(panel["title"], target["expr"], _parsed(target["expr"], names))


def _parsed(expression: str, names: set[str]) -> promql_parser.Expr | None:
    """The tree, with `$name` left as it is in matchers; None when it is no PromQL."""
    durations = {**MAGIC, **{name: "5m" for name in names if f"offset ${name}" in expression}}
    values = {name: durations.get(name, f"${name}") for name in names | set(MAGIC)}
    try:
        return promql_parser.parse(filled(expression, values))
    except (ValueError, KeyError):
        return None


def _variable(board: Board, name: str) -> dict[str, Any] | None:
    return next((one for one in board["templating"]["list"] if one["name"] == name), None)


def template_datasource(board: Board) -> Iterator[str]:
    """There is a variable for the data source, called so."""
    source = _variable(board, "datasource")
    if source is None or source["type"] != "datasource" or source["query"] != "prometheus":
        yield "no variable `datasource` of type prometheus"
    elif source["label"] != "Data source":
        yield "it is labelled otherwise"


def _template(name: str) -> Callable[[Board], Iterator[str]]:
    def rule(board: Board) -> Iterator[str]:
        one = _variable(board, name)
        if one is None:
            yield f"no variable `{name}`"
            return
        wanted = {"label": name.title(), "type": "query", "multi": True, "allValue": ".+"}
        yield from (f"{key} is {one.get(key)!r}" for key, value in wanted.items() if one.get(key) != value)
        if one["datasource"]["uid"] not in SOURCES:
            yield "does not ask the chosen data source"

    return rule


def template_label_promql(board: Board) -> Iterator[str]:
    """Variables ask for labels in a way Grafana and Prometheus know."""
    for one in board["templating"]["list"]:
        if one["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), \w+\)", one["query"])
            names = {other["name"] for other in board["templating"]["list"]}
            if found is None or _parsed(found[1], names) is None:
                yield f"{one['name']}: {one['query']}"


def template_on_time_change_reload(board: Board) -> Iterator[str]:
    """Variables are asked for again when the time range changes."""
    for one in board["templating"]["list"]:
        if one["type"] == "query" and one["refresh"] != 2:
            yield one["name"]


def uneditable(board: Board) -> Iterator[str]:
    """Changes belong in the source, not in the browser."""
    if board["editable"]:
        yield "it can be edited"


def panel_datasource(panel: dict[str, Any]) -> Iterator[str]:
    """Every panel and query asks the chosen data source."""
    for one in (panel, *panel.get("targets", [])):
        if one.get("datasource", {}).get("uid") not in SOURCES:
            yield "asks another data source"


def panel_title_description(panel: dict[str, Any]) -> Iterator[str]:
    """Every panel has a title and a description."""
    if not panel.get("title") or not panel.get("description"):
        yield "has none"


def panel_units(panel: dict[str, Any]) -> Iterator[str]:
    """Every panel has one of those units of Grafana that are used here."""
    if panel["fieldConfig"]["defaults"].get("unit") not in UNITS:
        yield str(panel["fieldConfig"]["defaults"].get("unit"))


def panel_no_targets(panel: dict[str, Any]) -> Iterator[str]:
    """Every panel has a query."""
    if not panel.get("targets"):
        yield "has none"


def panel_type(panel: dict[str, Any]) -> Iterator[str]:
    """No panel of a kind that Grafana has given up, nor one these tests do not know."""
    if panel["type"] in DEPRECATED or panel["type"] not in QUERIED:
        yield str(panel["type"])


def target_promql(place: Place) -> Iterator[str]:
    """Every query is PromQL."""
    if place.tree is None:
        yield place.expression


def target_rate_interval(place: Place) -> Iterator[str]:
    """`rate` is over $__rate_interval."""
    for call in _calls(place):
        for window in call.args:
            if (
                call.func.name in {"rate", "irate"}
                and isinstance(window, promql_parser.MatrixSelector)
                and window.range != promql_parser.parse_duration(MAGIC["__rate_interval"])
            ):
                yield place.expression


def _required(label: str) -> Callable[[Place], Iterator[str]]:
    def rule(place: Place) -> Iterator[str]:
        for selector in _selectors(place):
            matchers = [one for one in selector.matchers.matchers if one.name == label]
            if [(one.op, one.value) for one in matchers] != [(promql_parser.MatchOp.Re, f"${label}")]:
                yield selector.prettify()

    return rule


def target_counter_agg(place: Place) -> Iterator[str]:
    """A counter stands in rate, irate or increase."""
    rated = {
        argument.vector_selector.name
        for call in _calls(place)
        if call.func.name in RATES
        for argument in call.args
        if isinstance(argument, promql_parser.MatrixSelector)
    }
    for selector in _selectors(place):
        if (selector.name or "").endswith("_total") and selector.name not in rated:
            yield str(selector.name)


def target_histogram(place: Place) -> Iterator[str]:
    """Buckets stand in histogram_quantile."""
    within = {
        selector.name
        for call in _calls(place)
        if call.func.name == "histogram_quantile"
        for selector in nodes(call.prettify())
        if isinstance(selector, promql_parser.VectorSelector)
    }
    for selector in _selectors(place):
        if (selector.name or "").endswith("_bucket") and selector.name not in within:
            yield str(selector.name)


def _calls(place: Place) -> Iterator[promql_parser.Call]:
    for node in nodes(place.tree.prettify()) if place.tree else ():
        if isinstance(node, promql_parser.Call):
            yield node


def _selectors(place: Place) -> Iterator[promql_parser.VectorSelector]:
    for node in nodes(place.tree.prettify()) if place.tree else ():
        if isinstance(node, promql_parser.VectorSelector):
            yield node


BOARD_RULES: dict[str, Callable[..., Iterator[str]]] = {
    "template-datasource-rule": template_datasource,
    "template-job-rule": _template("job"),
    "template-instance-rule": _template("instance"),
    "template-label-promql-rule": template_label_promql,
    "template-on-time-change-reload-rule": template_on_time_change_reload,
    "uneditable-dashboard": uneditable,
}
PANEL_RULES: dict[str, Callable[..., Iterator[str]]] = {
    "panel-datasource-rule": panel_datasource,
    "panel-title-description-rule": panel_title_description,
    "panel-units-rule": panel_units,
    "panel-no-targets-rule": panel_no_targets,
    "panel-type": panel_type,
}
TARGET_RULES: dict[str, Callable[..., Iterator[str]]] = {
    "target-promql-rule": target_promql,
    "target-rate-interval-rule": target_rate_interval,
    "target-job-rule": _required("job"),
    "target-instance-rule": _required("instance"),
    "target-counter-agg-rule": target_counter_agg,
    "target-histogram-rule": target_histogram,
}
