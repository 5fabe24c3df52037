"""A rule's tests notice when it is spoilt: a comparison, a condition, a threshold, a matcher of a label."""

from pathlib import Path

import pytest

from tests.support.deployed_rules import Rule, alerts, rules
from tests.support.rule_mutants import UNSPOILT, mutants, mutants_by_matchers, survivors

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
# Each run of the suite spoils the matchers of these: what other rules go by, and what watches the gates.
# Those of all rules take 45 s of CPU.
OFTEN = {"tidegate-maps", "tidegate-memory", "tidegate-traffic", "tidegate-monitoring-alerts"}


@pytest.mark.long
@pytest.mark.parametrize("alert", alerts(), ids=lambda rule: rule.name)
def test_no_spoilt_alert_passes_the_tests_of_the_alert(alert: Rule, tmp_path: Path) -> None:
    unnoticed = survivors(alert, list(mutants(alert)), tmp_path)
    assert unnoticed.pop(0) == UNSPOILT, "the alert as it is passes them"
    assert {how.partition(":")[0] for how in unnoticed} == SAME.get(alert.name, set()), unnoticed


def matched() -> list[Rule]:
    """The rules in which series are chosen by labels."""
    return [rule for rule in rules() if len(list(mutants_by_matchers(rule))) > 1]


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(rule, id=str(rule), marks=() if rule.group in OFTEN else pytest.mark.long)
        for rule in matched()
    ],
)
def test_no_rule_with_a_spoilt_matcher_passes_the_tests_of_the_rule(rule: Rule, tmp_path: Path) -> None:
    unnoticed = survivors(rule, list(mutants_by_matchers(rule)), tmp_path)
    assert unnoticed.pop(0) == UNSPOILT, "the rule as it is passes them"
    assert set(unnoticed) == SAME_MATCHERS.get(rule.name, set())
