"""`benchmarks.consumers`: a consumer beside ingest is followed to its end, and each row can fail."""

from collections import Counter
from typing import Any

import pytest

from benchmarks.common.plan import Plan
from benchmarks.consumers.__main__ import failures
from benchmarks.consumers.crowd import IDLE, OK, SILENT
from benchmarks.consumers.ingest import beside_a_consumer

BRIEF = Plan(
    "small", batch_items=20, connections=3, copies=1.0, warm_up_seconds=0.1, seconds=0.2, per_second=50
)
KEPT, BEHIND = {"p50_ms": 1.0}, {"p50_ms": None}
CONSUMER = {
    "accepted": 1000,
    "transactions": 1000,
    "again": 0,
    "missed": 0,
    "share_meanwhile": 0.2,
    "most_lag_seconds": 0.4,
}
CROWD = {
    "answers": Counter({OK: IDLE + SILENT}),
    "kib_each": 30.0,
    "then_p99_ms": 9.0,
    "then_cut_off": SILENT,
    "ended": IDLE + SILENT,
    "exit_code": 0,
}


def test_a_consumer_beside_a_load_is_waited_for_until_it_has_all_that_was_accepted() -> None:
    found = beside_a_consumer(BRIEF, 1)
    [consumer] = found["consumer"]
    assert consumer["transactions"] == consumer["accepted"] >= 10 * BRIEF.batch_items
    assert (consumer["again"], consumer["missed"]) == (0, 0)
    assert 0 <= consumer["handed_meanwhile"] <= consumer["accepted_meanwhile"] <= consumer["accepted"]
    assert len(found["with"]) == len(found["without"]) == 1


def _consumer(**other: object) -> dict[str, Any]:
    return {"ratio": 0.9, "with": [KEPT], "without": [KEPT], "consumer": [CONSUMER | other]}


@pytest.mark.parametrize("row", ["ingest", "followed"])
@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"transactions": 999}, "999 of 1000 were handed out"),
        ({"transactions": 1001, "again": 1}, "1 of them again"),
        ({"missed": 1}, "1 missed"),
    ],
)
def test_a_consumer_that_has_not_everything_once_fails_its_row(
    row: str, other: dict[str, object], said: str
) -> None:
    assert not list(failures({row: _consumer()}))
    [sentence] = failures({row: _consumer(**other)})
    assert sentence.startswith(row)
    assert said in sentence


@pytest.mark.parametrize("row", ["ingest", "followed"])
def test_a_consumer_that_costs_too_much_fails_its_row(row: str) -> None:
    [sentence] = failures({row: _consumer() | {"ratio": 0.84}})
    assert "0.84 times the rate" in sentence


def test_a_consumer_that_comes_to_a_stand_beside_ingest_fails_the_row() -> None:
    [sentence] = failures({"ingest": _consumer(share_meanwhile=0.05)})
    assert "0.05 of it was handed out meanwhile" in sentence


def test_one_that_lags_where_it_has_time_to_follow_fails_the_row_and_so_does_a_late_load() -> None:
    [sentence] = failures({"followed": _consumer(most_lag_seconds=1.2)})
    assert "lagged by 1.2 s" in sentence
    [sentence] = failures({"followed": _consumer() | {"without": [BEHIND]}})
    assert "a load without readers was not kept up with" in sentence


def _crowd(then_ratio: float = 1.0, **other: object) -> dict[str, Any]:
    ratios = {"ratio": 1.0, "then_ratio": then_ratio}
    return ratios | {"with": [KEPT], "without": [KEPT], "crowd": [CROWD | other]}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (_crowd(then_ratio=1.6), "1.6 times that without"),
        (_crowd() | {"ratio": 1.7}, "1.7 times that without"),
        (_crowd() | {"with": [BEHIND]}, "a load with readers was not kept up with"),
        (_crowd(then_p99_ms=None), "the second load beside the crowd was not kept up with"),
        (_crowd(kib_each=65.0), "65.0 KiB"),
        (_crowd(then_cut_off=0), "0 of 1000 readers that took nothing were cut off"),
        (_crowd(ended=SILENT), "1000 of 1064 were ended"),
        (_crowd(answers=Counter({OK: SILENT, "503": IDLE})), "503"),
    ],
)
def test_a_crowd_is_judged_by_both_loads_and_by_what_became_of_it(found: dict[str, Any], said: str) -> None:
    assert not list(failures({"crowd": _crowd()}))
    [sentence] = failures({"crowd": found})
    assert said in sentence
