"""A day of three gates with bursts, updates and restarts pages nobody; one with an outage pages once."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.calm_day import MINUTES, Day
from tests.support.deployed_rules import RULE_FILES, promtool, read, rules, series_names

# For promtool on a busy machine; a day takes it half a minute of CPU time.
A_DAY_SECONDS = 900.0
pytestmark = [pytest.mark.long, pytest.mark.timeout(A_DAY_SECONDS)]

FIRED = 'count by (alertname) (count_over_time(ALERTS{{alertstate="firing", severity="{severity}"}}[1d]))'
OUTAGE = range(900, 910)


def fired(severity: str, **minutes: int) -> dict[str, Any]:
    """Ask at the end of the day which alerts of a severity fired, each of them for one of its label sets."""
    samples = [{"labels": f'{{alertname="{name}"}}', "value": count} for name, count in minutes.items()]
    return {"expr": FIRED.format(severity=severity), "eval_time": f"{MINUTES}m", "exp_samples": samples}


def judged(day: Day, folder: Path, *asked: dict[str, Any]) -> str:
    """Return what promtool says against what is asked of the day; nothing if all is as expected."""
    series = [
        {"series": name, "values": " ".join("_" if value is None else f"{value:.10g}" for value in values)}
        for name, values in day.series().items()
    ]
    # Recorded before they are used, so that an alert's value is that of the same moment.
    files = sorted(RULE_FILES, key=lambda file: "recording" not in file.name)
    document = {
        "rule_files": [str(file) for file in files],
        "evaluation_interval": "1m",
        "group_eval_order": [group["name"] for file in files for group in read(file)["groups"]],
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": asked}],
    }
    file = folder / "day.test.yml"
    file.write_text(json.dumps(document))
    done = promtool("test", "rules", file, timeout_seconds=A_DAY_SECONDS)
    return "" if done.returncode == 0 else done.stdout


def test_the_day_has_every_series_that_a_rule_reads() -> None:
    simulated = {name.partition("{")[0] for name in Day().series()}
    needed = {name for rule in rules() for name in series_names(rule.expression) if ":" not in name}
    assert needed - simulated == {"ALERTS"}


def test_a_calm_day_pages_nobody_and_warns_nobody(tmp_path: Path) -> None:
    # The bursts meet the rule of thumb on leaks, of each gate and worker, which is information.
    bursts, always = fired("info", TidegateLeakSuspected=5), fired("none", TidegateWatchdog=1)
    assert judged(Day(), tmp_path, fired("critical"), fired("warning"), bursts, always) == ""


def test_an_outage_of_the_store_pages_once_and_nothing_warns_of_its_consequences(tmp_path: Path) -> None:
    day = Day(outage=OUTAGE)
    assert judged(day, tmp_path, fired("critical", TidegateStoreDown=1), fired("warning")) == ""
