"""The verdict on a cause, and its row of the table, follow from what people were told."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.causes.catalogue import CAUSES
from benchmarks.causes.course import Cause, Outcome, Told, problems
from benchmarks.causes.table import table
from tests.support.deployed_rules import alerts

CAUSE = Cause(
    "full",
    "The store is full",
    "TidegateStoreFull",
    "pager",
    lambda _: nullcontext(),
    "room",
    cleanup_alert="TidegateStoreCleanup",
)
FIRING = Told(84.6, "pager", "TidegateStoreFull", "firing")
AGAIN = replace(FIRING, seconds=384.6)
RESOLVED = Told(714.5, "pager", "TidegateStoreFull", "resolved")
AT_GATE = ["firing cleanup", "resolved resolved"]


def outcome(*told: Told, at_gate: list[str] | None = None) -> Outcome:
    fired = {"TidegateStoreFull": (74.0, 614.0), "TidegateIngestRefused": (90.0, 600.0)}
    taken, acted = "2026-11-30T15:30:57+00:00", AT_GATE if at_gate is None else at_gate
    return Outcome("full", 1, taken, list(told), fired, 175.0, 720.0, acted)


def test_one_alert_by_its_name_and_its_end_is_as_wanted() -> None:
    assert problems(CAUSE, outcome(FIRING, RESOLVED)) == []


def test_one_message_may_tell_of_several_feeds() -> None:
    assert problems(CAUSE, outcome(FIRING, FIRING, RESOLVED, RESOLVED)) == []


@pytest.mark.parametrize(
    ("happened", "problem"),
    [
        (outcome(RESOLVED), "pager was told 0 times of TidegateStoreFull"),
        (outcome(FIRING, AGAIN, RESOLVED, RESOLVED), "pager was told 2 times of TidegateStoreFull"),
        (
            outcome(FIRING, Told(90, "humans", "TidegateIngestSlow", "firing"), RESOLVED),
            "told beside it: humans: TidegateIngestSlow",
        ),
        (outcome(FIRING), "its end was not told"),
        (outcome(FIRING, RESOLVED, at_gate=["resolved resolved"]), "no cleanup was run for it"),
        (outcome(FIRING, RESOLVED, at_gate=["firing cleanup"]), "the gate was not told of its end"),
    ],
)
def test_anything_else_is_a_problem(happened: Outcome, problem: str) -> None:
    assert problems(CAUSE, happened) == [problem]


def test_what_is_forced_beside_a_cause_is_told_as_well() -> None:
    cause = replace(CAUSE, besides=("TidegateIngestSlow",))
    beside = Told(90, "humans", "TidegateIngestSlow", "firing")
    assert problems(cause, outcome(FIRING, beside, RESOLVED)) == []
    assert problems(cause, outcome(FIRING, RESOLVED)) == ["not told beside it: TidegateIngestSlow"]


def test_a_row_has_what_was_told_when_what_fired_and_was_told_to_nobody_and_when_it_was_run() -> None:
    happened: dict[str, Any] = outcome(FIRING, RESOLVED).document() | {"cleanups": {"alert": 2.0}}
    row = table([CAUSE], {"full": happened | {"told": [vars(FIRING), vars(RESOLVED)]}}).splitlines()[-1]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        "The store is full",
        "[StoreFull](../deploy/runbooks/TidegateStoreFull.md)",
        "pager",
        "85",
        "[IngestRefused](../deploy/runbooks/TidegateIngestRefused.md)",
        "room (emergency cleanups: 2 by alert)",
        "540",
        "as shipped",
        "2026-11-30 15:30",
    ]


def test_each_cause_expects_an_alert_that_is_shipped_at_the_people_it_goes_to() -> None:
    shipped = {rule.name: rule.written["labels"] for rule in alerts()}
    for cause in CAUSES.values():
        assert set(cause.besides) <= shipped.keys(), cause.name
        labels = shipped[cause.alert]
        assert cause.receiver == ("pager" if labels["severity"] == "critical" else "humans"), cause.name
        asking = cause.cleanup_alert or cause.alert
        assert bool(cause.cleanup_alert) == (shipped[asking].get("action") == "cleanup"), cause.name
