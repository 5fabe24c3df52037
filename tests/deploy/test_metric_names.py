"""Metrics exist under the names that rules, dashboards and pages call them, and none is exported in vain."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.test_runbooks import blocks
from tests.support.deployed_rules import ROOT, RUNBOOKS, promtool, rules, series_names
from tests.support.gate import GateProcess, gate_process
from tests.support.processes import wait_until

PREFIX = "tidegate_"
SUFFIXES = ("_bucket", "_count", "_sum", "_info", "_total")
DOCS = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "deploy").rglob("*.md")])
# Not part of a recorded series (`job:tidegate_x:sum`), nor the beginning of many (`tidegate_map_…`).
NAMED = re.compile(r"(?<!:)\btidegate_[a-z0-9_]*[a-z0-9](?![a-z0-9_:…*])")
# Exported for whom no rule, dashboard or page speaks.
UNUSED: dict[str, str] = {}
# Exported and on no panel, and why. What begins with `tidegate_` and is not here has a panel.
NOT_DRAWN = {
    "tidegate_cleanup_last_success_timestamp_seconds": "by mode; the panel has it by map",
    "tidegate_cleanup_map_runs": "an alert names trigger and map; the panel has the failures of all",
    "tidegate_consumer_idle_limit_seconds": "an hour, which would flatten the seconds that matter",
    "tidegate_drill_map_fill_ratio": "an annotation marks drills",
    "tidegate_drills": "an annotation marks drills",
    "tidegate_map_added": "what is accepted, which has a panel",
    "tidegate_worker_start_time_seconds": "a panel has how often workers are started again",
}
# Words of the documentation that look like metrics.
NO_METRICS: dict[str, str] = {"tidegate_token": "the file with Alertmanager's token"}


def series(text: str) -> set[str]:
    """The names of all series of an exposition."""
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def family(name: str) -> str:
    """The family a series belongs to."""
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """`/metrics` of gates that have been used: one process, and one with workers, which exports more."""
    return {"one process": _scrape(workers=1), "two workers": _scrape(workers=2)}


@pytest.fixture(scope="module")
def exported(texts: dict[str, str]) -> set[str]:
    """The names of all series that some gate exports."""
    return {name for text in texts.values() for name in series(text)}


def _scrape(workers: int) -> str:
    settings = {"memory_limit_bytes": 2**30, "memory_sample_seconds": 0.2, "dedup_window_seconds": 1}
    with gate_process(workers=workers, **settings) as gate:
        _use(gate)
        with gate.client() as client:
            return client.get("/metrics").text


def _use(gate: GateProcess) -> None:
    """Transactions of two sources, a lookup, a cleanup, a consumer, and time until what is read is known."""
    with gate.client() as client:
        for source in ("one", "two"):
            items = [{"signature": f"signature-{at}", "source": source} for at in range(50)]
            assert client.post("/transactions", json=items).status_code == 200
        client.get("/transactions/signature-1")
        client.post("/cleanup/emergency")
        client.post("/consumers/one/lease")
        client.post("/drill?drill=full")
        late = ("tidegate_cleanup_efficiency_ratio", 'tidegate_consumer_lag_seconds{consumer="one"}')
        assert wait_until(
            lambda: all(name in client.get("/metrics").text for name in late), 60, pause_seconds=0.1
        )


def _expressions(value: object) -> Iterator[str]:
    """Every `expr` of a dashboard, whatever it lies in."""
    if isinstance(value, dict):
        yield from (text for key, text in value.items() if key == "expr" and isinstance(text, str))
        for member in value.values():
            yield from _expressions(member)
    elif isinstance(value, list):
        for member in value:
            yield from _expressions(member)


def _without_variables(expression: str) -> str:
    """A dashboard's query with something in the place of its variables."""
    expression = re.sub(r"\[\$\w+\]|\[\$\{\w+\}\]", "[5m]", expression)
    return re.sub(r"\$\w+|\$\{\w+(?::\w+)?\}", "1", expression)


@cache
def in_queries() -> dict[str, set[str]]:
    """Of each place, the names of the series its PromQL reads."""
    # Several rules may record the same series.
    found = {f"{rule}, rule {at}": series_names(rule.expression) for at, rule in enumerate(rules())}
    for page in sorted(RUNBOOKS.glob("*.md")):
        queries = "".join(blocks(page, "promql")).splitlines()
        found[page.name] = {name for query in queries for name in series_names(query)}
    for file in sorted((ROOT / "grafana").rglob("*.json")):
        expressions = map(_without_variables, _expressions(json.loads(file.read_text(encoding="utf-8"))))
        found[file.name] = {name for expression in expressions for name in series_names(expression)}
    return found


@cache
def in_pages() -> dict[Path, set[str]]:
    """Of each page, the words that look like metrics."""
    return {page: set(NAMED.findall(page.read_text(encoding="utf-8"))) for page in DOCS}


def test_every_metric_of_ours_a_query_names_is_exported(exported: set[str]) -> None:
    wrong = {
        place: missing
        for place, names in in_queries().items()
        if (missing := {name for name in names if name.startswith(PREFIX)} - exported)
    }
    assert wrong == {}


def test_every_series_a_query_names_is_ours_recorded_or_of_the_monitoring_itself() -> None:
    recorded = {rule.name for rule in rules() if not rule.is_alert}
    known = re.compile(r"up|ALERTS|(tidegate|prometheus|alertmanager|redis|process|python|scrape)_\w+")
    for place, names in in_queries().items():
        assert {name for name in names if not known.fullmatch(name)} <= recorded, place


def test_every_metric_a_page_names_is_exported(exported: set[str]) -> None:
    known = {name for one in exported for name in (one, family(one))} | set(NO_METRICS)
    wrong = {page.name: names - known for page, names in in_pages().items() if names - known}
    assert wrong == {}


def test_every_metric_that_is_exported_is_used_or_has_a_reason(exported: set[str]) -> None:
    names = {name for found in [*in_queries().values(), *in_pages().values()] for name in found}
    families = {family(name) for name in exported if name.startswith(PREFIX)}
    unused = families - {family(name) for name in names}
    assert unused == set(UNUSED)


def test_every_metric_of_ours_is_on_a_panel_or_has_a_reason(exported: set[str]) -> None:
    boards = [names for place, names in in_queries().items() if place.endswith(".json")]
    drawn = {family(name) for names in boards for name in names}
    assert {family(name) for name in exported if name.startswith(PREFIX)} - drawn == set(NOT_DRAWN)


def test_promtool_finds_nothing_wrong_with_what_a_used_gate_exports(texts: dict[str, str]) -> None:
    for gate, text in texts.items():
        check = promtool("check", "metrics", given=text)
        assert (check.returncode, check.stdout) == (0, ""), gate
