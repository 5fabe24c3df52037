"""The panels of who is first give a replay nothing, by Prometheus' own arithmetic."""

import json
from pathlib import Path

import pytest

from tests.support.dashboards import filled, queries
from tests.support.deployed_rules import promtool
from tests.support.panel_proof import variables

# Of 10 accepted a second by `replayer` 8 were late; `honest` has no series of late ones yet.
SERIES = {
    ("tidegate_source_transactions_total", "replayer", 'outcome="accepted", '): 10,
    ("tidegate_source_transactions_total", "honest", 'outcome="accepted", '): 7,
    ("tidegate_late_duplicates_total", "replayer", ""): 8,
    # An estimate by a sample may be more than there was.
    ("tidegate_source_transactions_total", "estimated", 'outcome="accepted", '): 1,
    ("tidegate_late_duplicates_total", "estimated", ""): 2,
}
FIRST_A_SECOND = {"replayer": 2.0, "honest": 7.0, "estimated": 0.0}
ALL_A_SECOND = 8.0  # 18 accepted, 10 late


@pytest.mark.parametrize(
    ("panel", "whole"), [("First a second, by source", 1), ("Share of firsts", ALL_A_SECOND)]
)
def test_a_replay_wins_nothing(panel: str, whole: float, tmp_path: Path) -> None:
    [query] = [query for query in queries() if (query.board, query.panel) == ("feeds", panel)]
    test = {
        "expr": filled(query.expression, variables(60) | {"__rate_interval": "1m"}),
        "eval_time": "5m",
        "exp_samples": [
            {"labels": f'{{source="{source}"}}', "value": value / whole}
            for source, value in FIRST_A_SECOND.items()
        ],
    }
    series = [
        {"series": f'{name}{{{outcome}source="{source}", job="j", instance="i"}}', "values": f"0+{each}x400"}
        for (name, source, outcome), each in SERIES.items()
    ]
    group = {"interval": "1s", "input_series": series, "promql_expr_test": [test]}
    file = tmp_path / "test.yml"
    file.write_text(json.dumps({"tests": [group]}))
    result = promtool("test", "rules", file)
    assert result.returncode == 0, result.stdout
