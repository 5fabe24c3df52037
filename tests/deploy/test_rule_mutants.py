"""A rule's tests notice when it is spoilt: a condition, threshold, matcher, window or list of labels."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.deployed_rules import Rule, alerts, cases, rules
from tests.support.rule_mutants import (
    UNSPOILT,
    mutants,
    mutants_by_labels,
    mutants_by_matchers,
    mutants_by_windows,
    survivors,
    survivors_apart,
)

# Spoilt in these ways an alert is the same as before.
SAME = {
    "TidegateBuildsDiffer": {"times 1.25"},  # more than 1 or more than 1.25 versions
    "TidegateRestarting": {"times 1.25"},  # more than 2 or more than 2.5 of what is counted in whole numbers
    "TidegateWorkersRestarting": {"times 1.25"},  # the same, of more than 3
    "TidegateWatchdog": {"always"},  # which is what it does
}

# With these matchers spoilt so a rule is the same as before.
SAME_MATCHERS = {
    # The other side of the difference has no such series.
    "TidegateLeakSuspected": {
        f'matcher 0 {how}: tidegate_memory_rss_bytes{{process!="store"}}{side}'
        for how in ("with another value", "dropped")
        for side in (" (number 0)", " offset 5m (number 1)")
    },
    "TidegateStoreLeakSuspected": {
        f'matcher {place} dropped: tidegate_memory_explained_bytes{{process="store",part="maps"}}{side}'
        for place in (0, 1)
        for side in (" (number 0)", " offset 5m (number 1)")
    },
    # What it stands behind, `unless on (namespace, job)`, is of this job.
    "TidegateAbsent": {'matcher 0 dropped: up{job="tidegate"} (number 2)'},
    # Of a feed that is silent for five minutes nothing was accepted in them.
    "TidegateFeedSilent": {
        f'matcher 0 {how}: tidegate_source_transactions_total{{outcome!~"accepted|duplicate"}} (number {at})'
        for how, at in (
            ("with another value", 0),
            ("dropped", 0),
            ("without alternative 0", 0),
            ("without alternative 1", 0),
        )
    },
}
# Each run of the suite spoils the matchers and windows of these: what other rules go by, and what watches the
# gates. Those of all rules take 45 and 70 s of CPU.
OFTEN = {"tidegate-maps", "tidegate-memory", "tidegate-traffic", "tidegate-monitoring-alerts"}

# With these windows spoilt so a rule is the same as before.
SAME_WINDOWS = {
    # What was last read of a consumer was read of both at once, so that the other one's window ends it.
    "TidegateConsumerGone": {"[1h] doubled (number 0)", "[1h] doubled (number 1)"},
}

# With these labels left out so a rule is the same as before.
SAME_LABELS = {
    # It says that the store leaks, and not how many gates have found it to.
    "TidegateLeakConfirmed": {"by (namespace, job, instance, process) without instance (number 2)"},
    # What it stands behind is of this job.
    "TidegateAbsent": {"on (namespace, job) without job (number 2)"},
}


@pytest.mark.long
@pytest.mark.parametrize("alert", alerts(), ids=lambda rule: rule.name)
def test_no_spoilt_alert_passes_the_tests_of_the_alert(alert: Rule, tmp_path: Path) -> None:
    unnoticed = survivors(alert, list(mutants(alert)), tmp_path)
    assert unnoticed.pop(0) == UNSPOILT, "the alert as it is passes them"
    assert {how.partition(":")[0] for how in unnoticed} == SAME.get(alert.name, set()), unnoticed


def each_often_or_long(chosen: Iterable[Rule]) -> pytest.MarkDecorator:
    """Run a test for each of these rules, as a `long` one for a rule that is not of the groups OFTEN."""
    return pytest.mark.parametrize(
        "rule",
        [
            pytest.param(rule, id=str(rule), marks=() if rule.group in OFTEN else pytest.mark.long)
            for rule in chosen
        ],
    )


def matched() -> list[Rule]:
    """The rules in which series are chosen by labels."""
    return [rule for rule in rules() if len(list(mutants_by_matchers(rule))) > 1]


@each_often_or_long(matched())
def test_no_rule_with_a_spoilt_matcher_passes_the_tests_of_the_rule(rule: Rule, tmp_path: Path) -> None:
    unnoticed = survivors(rule, list(mutants_by_matchers(rule)), tmp_path)
    assert unnoticed.pop(0) == UNSPOILT, "the rule as it is passes them"
    assert set(unnoticed) == SAME_MATCHERS.get(rule.name, set())


def windowed() -> list[Rule]:
    """The rules that look back."""
    return [rule for rule in rules() if len(list(mutants_by_windows(rule))) > 1]


@each_often_or_long(windowed())
def test_no_rule_with_a_spoilt_window_passes_the_tests_of_the_rule(rule: Rule, tmp_path: Path) -> None:
    unnoticed = survivors(rule, list(mutants_by_windows(rule)), tmp_path)
    assert unnoticed.pop(0) == UNSPOILT, "the rule as it is passes them"
    assert set(unnoticed) == SAME_WINDOWS.get(rule.name, set())


def labelled() -> list[Rule]:
    """The rules with lists of labels."""
    return [rule for rule in rules() if len(list(mutants_by_labels(rule))) > 1]


def told_apart(rule: Rule) -> list[str]:
    """The labels by which the rule is to keep things apart: an alert on one gate by its address as well."""
    fired = [one["exp_labels"] for case in cases() if case.alert == rule.name for one in case.expected]
    is_of_a_gate = fired and all("instance" in labels for labels in fired)
    return ["namespace", "job", *(["instance"] if is_of_a_gate else ())]


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("rule", labelled(), ids=str)
def test_no_rule_with_a_label_less_passes_the_tests_of_the_rule(rule: Rule, tmp_path: Path) -> None:
    unnoticed = survivors(rule, list(mutants_by_labels(rule)), tmp_path)
    assert unnoticed.pop(0) == UNSPOILT, "the rule as it is passes them"
    same = SAME_LABELS.get(rule.name, set())
    assert same <= set(unnoticed)
    left = [how for how in unnoticed if how not in same]
    for label in told_apart(rule):
        left = survivors_apart(rule, left, label, tmp_path / label)
    assert left == []
