"""An alert's tests notice when it is spoilt: a comparison turned, a condition lost, a threshold moved."""

from pathlib import Path

import pytest

from tests.support.deployed_rules import Rule, alerts
from tests.support.rule_mutants import UNSPOILT, survivors

# Spoilt in these ways an alert is the same as before.
SAME = {
    "TidegateBuildsDiffer": {"times 1.25"},  # more than 1 or more than 1.25 versions
    "TidegateRestarting": {"times 1.25"},  # more than 2 or more than 2.5 of what is counted in whole numbers
    "TidegateWorkersRestarting": {"times 1.25"},  # the same, of more than 3
    "TidegateWatchdog": {"always"},  # which is what it does
}


@pytest.mark.long
@pytest.mark.parametrize("alert", alerts(), ids=lambda rule: rule.name)
def test_no_spoilt_alert_passes_the_tests_of_the_alert(alert: Rule, tmp_path: Path) -> None:
    unnoticed = survivors(alert, tmp_path)
    assert unnoticed.pop(0) == UNSPOILT, "the alert as it is passes them"
    assert {how.partition(":")[0] for how in unnoticed} == SAME.get(alert.name, set()), unnoticed
