"""The rules: promtool finds nothing wrong; each alert is complete, tested both ways, and has a runbook."""

import re
from pathlib import Path

import pytest

from tests.support.deployed_rules import (
    PROMETHEUS,
    RULE_FILES,
    RUNBOOKS,
    TEST_FILES,
    Rule,
    alerts,
    cases,
    promtool,
    read,
    rules,
    series_names,
)
from tests.support.rule_tests import complaints

SEVERITIES = {"critical", "warning", "info", "none"}
# What loses data or traffic now, or is about to without anybody being able to tell.
CRITICAL = {
    "TidegateAbsent",
    "TidegateConsumerMisses",
    "TidegateErrorBudgetBurnFast",
    "TidegateIngestRefused",
    "TidegateIngestRejected",
    "TidegateIngestStopped",
    "TidegateMemoryPressureHard",
    "TidegateSignaturesFull",
    "TidegateStoreDown",
    "TidegateStoreEvicting",
    "TidegateStoreFull",
    "TidegateStorePartlyDown",
    "TidegateStoreSetBack",
}
# It fires always: that is what it is for.
NEVER_SILENT = {"TidegateWatchdog"}
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation", "It is over when"]
LINK = re.compile(
    re.escape("{{ with $externalLabels.runbooks }}{{ . }}{{ else }}{{ $externalURL }}/user{{ end }}/")
    + r"(\w+\.md)"
)
SERIES = re.compile(r"[a-z]+(?:_[a-z]+)*:[a-z_]+:[a-z0-9_]+")
INDEX = RUNBOOKS / "README.md"

each_alert = pytest.mark.parametrize("alert", alerts(), ids=lambda rule: rule.name)
each_test_file = pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: file.stem)
each_rule = pytest.mark.parametrize("rule", rules(), ids=str)


def test_promtool_accepts_the_configuration_and_all_rules() -> None:
    check = promtool("check", "config", PROMETHEUS / "prometheus.yml")
    assert check.returncode == 0, check.stdout
    assert f"{len(RULE_FILES)} rule files found" in check.stdout
    lint = promtool("check", "rules", "--lint=all", "--lint-fatal", *RULE_FILES)
    assert lint.returncode == 0, lint.stdout


@each_test_file
def test_promtool_finds_each_alert_to_fire_and_to_be_silent_as_its_tests_say(
    file: Path, tmp_path: Path
) -> None:
    assert complaints(file, tmp_path) == ""


@pytest.mark.long
@each_test_file
def test_promtool_finds_the_same_with_all_rules_of_the_file(file: Path) -> None:
    done = promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout


@each_alert
def test_an_alert_has_a_test_in_which_it_fires_and_says_what_it_says(alert: Rule) -> None:
    expected = [one for case in cases() if case.alert == alert.name for one in case.expected]
    assert expected
    written = alert.written["annotations"].keys()
    assert [one for one in expected if one.get("exp_annotations", {}).keys() != written] == []


@each_alert
def test_an_alert_has_a_test_in_which_it_stays_silent(alert: Rule) -> None:
    silent = {case.test for case in cases() if case.alert == alert.name and not case.expected}
    assert bool(silent) is (alert.name not in NEVER_SILENT)


def test_every_test_is_of_an_alert_there_is() -> None:
    assert {case.alert for case in cases()} == {alert.name for alert in alerts()}


def test_every_alert_has_a_name_of_its_own() -> None:
    names = [alert.name for alert in alerts()]
    assert len(names) == len(set(names))
    assert [name for name in names if not re.fullmatch(r"Tidegate([A-Z][a-z]+)+", name)] == []


@each_alert
def test_an_alert_has_its_severity_a_summary_and_a_description(alert: Rule) -> None:
    labels, annotations = alert.written["labels"], alert.written["annotations"]
    assert labels["severity"] in SEVERITIES
    assert (labels["severity"] == "critical") is (alert.name in CRITICAL)
    assert annotations.keys() == {"summary", "description", "runbook_url"}
    assert "{{" not in annotations["summary"], "a summary is the same for all alerts of a group"
    assert annotations["description"].endswith(".")


@each_alert
def test_an_alert_that_asks_for_a_cleanup_says_which_and_no_other_does(alert: Rule) -> None:
    labels = alert.written["labels"]
    assert labels.keys() <= {"severity", "action", "mode"}
    assert ("action" in labels) is ("mode" in labels)
    assert labels.get("action", "cleanup") == "cleanup"
    assert labels.get("mode", "normal") in {"normal", "emergency"}


@each_alert
def test_the_link_of_an_alert_leads_to_a_runbook_with_its_headings(alert: Rule) -> None:
    link = LINK.fullmatch(alert.written["annotations"]["runbook_url"])
    assert link
    assert link[1] == f"{alert.name}.md"
    text = (RUNBOOKS / link[1]).read_text(encoding="utf-8")
    assert text.startswith(f"# {alert.name}\n")
    headings = HEADINGS[:-1] if alert.name in NEVER_SILENT else HEADINGS
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == headings


def test_every_runbook_belongs_to_an_alert_and_stands_in_the_index() -> None:
    files = {file.name for file in RUNBOOKS.glob("*.md")} - {INDEX.name}
    assert files == {f"{alert.name}.md" for alert in alerts()}
    rows = re.findall(r"^\| \[(\w+)\]\((\w+\.md)\) \| (\w+) \|", INDEX.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted((a.name, f"{a.name}.md", a.written["labels"]["severity"]) for a in alerts())


@each_rule
def test_a_rule_reads_no_recorded_series_that_nothing_records(rule: Rule) -> None:
    recorded = {one.name for one in rules() if not one.is_alert}
    assert {name for name in series_names(rule.expression) if ":" in name} <= recorded


def test_every_recorded_series_is_named_by_level_metric_and_operations_read_somewhere_and_tested() -> None:
    recorded = {rule.name for rule in rules() if not rule.is_alert}
    assert [name for name in recorded if not SERIES.fullmatch(name)] == []
    tested = {
        name
        for file in TEST_FILES
        for group in read(file)["tests"]
        for test in group.get("promql_expr_test", ())
        for name in series_names(test["expr"])
    }
    assert tested - {"ALERTS"} == recorded
    assert recorded <= {name for rule in rules() for name in series_names(rule.expression)}
