"""The dashboards are what the sources write, can be read, and say of alerts what the rules say."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from grafana.build import rendered
from tests.support.dashboards import FILES, FOLDER, alerts_named, filled, panels, queries, read
from tests.support.deployed_rules import ROOT, alerts, nodes, series_names

SEVERITIES = {"warning": "orange", "critical": "red"}
COLUMNS = 24
ALERTS = {rule.name: rule for rule in alerts()}
# Alerts about what no gate exports.
MONITORING = (
    *("TidegateAlertsRefused", "TidegateNotificationsFailing", "TidegateMonitoringDown"),
    *("TidegateMonitoringConfigBroken", "TidegateRulesFailing", "TidegateExporterBlind"),
)
NOWHERE = {
    "TidegateWatchdog": "it always fires",
    **dict.fromkeys(MONITORING, "the dashboards show gates, not what watches them"),
    **dict.fromkeys(("TidegateDrillFull", "TidegateDrillOn"), "an annotation on all panels marks a drill"),
}

each_board = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def numbers(expression: str) -> set[float]:
    """The numbers of a PromQL expression, computed where they are products."""
    return {value for node in nodes(expression) if (value := _constant(node)) is not None}


def _constant(node: promql_parser.Expr) -> float | None:
    if isinstance(node, promql_parser.NumberLiteral):
        return float(node.val)
    if isinstance(node, promql_parser.BinaryExpr) and str(node.op) == "*":
        left, right = _constant(node.lhs), _constant(node.rhs)
        return None if left is None or right is None else left * right
    return None


def test_the_committed_files_are_what_the_sources_write() -> None:
    written = {file.name: file.read_text(encoding="utf-8") for file in FILES}
    assert written == rendered(), "run `make dashboards`"


@each_board
def test_panels_fill_the_grid_without_overlapping_and_have_an_id_each(file: Path) -> None:
    every = read(file)["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    cells = [cell for panel in every for cell in _cells(panel["gridPos"])]
    assert len(cells) == len(set(cells)), "panels overlap"
    height = max(y for _, y in cells) + 1
    assert set(cells) == set(itertools.product(range(COLUMNS), range(height))), "there are gaps"


def _cells(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    yield from itertools.product(
        range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
    )


@each_board
def test_queries_of_a_panel_have_ids_and_a_panel_its_options(file: Path) -> None:
    for panel in panels(read(file)):
        ids = [target["refId"] for target in panel["targets"]]
        assert ids == [chr(ord("A") + place) for place in range(len(ids))], panel["title"]
        assert panel["options"], panel["title"]


@each_board
def test_legends_show_the_last_value(file: Path) -> None:
    for panel in panels(read(file)):
        if panel["type"] == "timeseries":
            assert "lastNotNull" in panel["options"]["legend"]["calcs"], panel["title"]


@each_board
def test_every_colour_is_that_of_a_series_the_panel_may_have(file: Path) -> None:
    for panel in panels(read(file)):
        legends = [re.sub(r"{{\w+}}", ".+", target["legendFormat"]) for target in panel["targets"]]
        for override in panel["fieldConfig"].get("overrides", []):
            name = override["matcher"]["options"]
            assert any(re.fullmatch(legend, name) for legend in legends), f"{panel['title']}: {name}"


@each_board
def test_every_threshold_is_that_of_an_alert_in_the_colour_of_its_severity(file: Path) -> None:
    for panel in panels(read(file)):
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        named = {one.number: one for one in alerts_named(panel) if one.number is not None}
        assert {step["value"] for step in steps[1:]} == set(named), panel["title"]
        for number, one in named.items():
            rule = ALERTS[one.alert]
            assert one.colour == SEVERITIES[rule.written["labels"]["severity"]], panel["title"]
            assert one.colour in {step["color"] for step in steps}, panel["title"]
            assert any(number == pytest.approx(value) for value in numbers(rule.expression)), panel["title"]


@each_board
def test_every_alert_and_line_a_panel_names_is_one_of_the_rules(file: Path) -> None:
    values = {"__rate_interval": "1m", "__range": "1h", "ago": "5m"}
    for panel in panels(read(file)):
        for one in alerts_named(panel):
            assert one.alert in ALERTS, panel["title"]
            if one.line is None:
                continue
            [drawn] = [target["expr"] for target in panel["targets"] if target["legendFormat"] == one.line]
            text = filled(drawn, {**values, **_any_matchers(drawn)})
            assert series_names(text) <= series_names(ALERTS[one.alert].expression), panel["title"]


def _any_matchers(expression: str) -> dict[str, str]:
    variables = ("namespace", "job", "instance", "process", "source")
    return {name: ".+" for name in variables if f"${name}" in expression}


def test_every_alert_can_be_seen_on_a_panel() -> None:
    named = {one.alert for file in FILES for panel in panels(read(file)) for one in alerts_named(panel)}
    assert named == set(ALERTS) - set(NOWHERE)


def test_a_link_of_alertmanager_to_a_dashboard_stays_valid() -> None:
    assert {read(file)["uid"] for file in FILES} == {"tidegate-overview", "tidegate-leak", "tidegate-feeds"}


def test_provisioning_finds_the_dashboards_and_prometheus_of_the_compose_file() -> None:
    compose = _yaml(ROOT / "docker-compose.yml")["services"]
    mounts = dict(one.split(":")[:2] for one in compose["grafana"]["volumes"] if one.startswith("./"))
    [provider] = _yaml(ROOT / "grafana/provisioning/dashboards/tidegate.yml")["providers"]
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert ROOT / "grafana/dashboards" == FOLDER
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    [source] = _yaml(ROOT / "grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose
    scraped = _yaml(ROOT / "deploy/prometheus/prometheus.yml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scraped


def _yaml(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return document


@each_board
def test_what_is_counted_is_a_whole_number(file: Path) -> None:
    """Prometheus extrapolates an increase: three of something are 3.16 of it."""
    for panel in panels(read(file)):
        if panel["fieldConfig"]["defaults"]["unit"] == "bytes":
            continue
        counts = [target["expr"] for target in panel["targets"] if "increase(" in target["expr"]]
        assert [one for one in counts if not one.startswith(("round(", "count_over_time("))] == []


@each_board
def test_every_selector_can_be_narrowed_to_a_namespace_and_needs_none(file: Path) -> None:
    board = read(file)
    [variable] = [one for one in board["templating"]["list"] if one["name"] == "namespace"]
    assert re.fullmatch(variable["allValue"], ""), "without Kubernetes there is no namespace"
    expressions = [target["expr"] for panel in panels(board) for target in panel["targets"]]
    assert [one for one in expressions if one.count("job=~") != one.count('namespace=~"$namespace"')] == []


def test_every_query_has_a_legend() -> None:
    assert [str(query) for query in queries() if not query.legend] == []
