"""Slopes of floors, and what becomes of a target by the figures alone."""

from dataclasses import replace

import pytest

from app.guard.leak.statistics import Slope
from app.reports.fold import Fold, Track
from app.reports.period import Period
from app.reports.report_document import Outcome
from app.reports.targets import Judged, judge, worst
from app.reports.trends import Trend, signed, trend_of
from tests.support.recording_gates import MB, NOON_MS

FLAT = Trend(Slope(0, -1, 1), hours=5, first_quarter=60, last_quarter=60)


def _track(*readings: float) -> Track:
    track = Track("host-a:8000", "gate", 1, 0.0)
    for minute, megabytes in enumerate(readings):
        track.add(NOON_MS + minute * 60_000, minute * 60.0, round(megabytes * MB))
    return track


def _judged(*trends: Trend) -> tuple[Outcome, Outcome]:
    """Of growth and of plateau."""
    targets = judge(Fold(Period(0, 1), 0), [Judged("gate of host-a:8000", trends)])
    return targets[0].status, targets[1].status


def test_bursts_that_grow_are_no_growth_while_the_floors_stay() -> None:
    track = _track(*(60 if minute % 6 == 0 else 60 + minute / 20 for minute in range(1200)))
    trend = trend_of(track, 0)
    assert trend is not None
    assert (trend.slope.value, trend.slope.low, trend.slope.high) == (0, 0, 0)
    assert (trend.first_quarter, trend.last_quarter) == (60, 60)


def test_a_slope_is_that_after_warm_up_with_its_hours() -> None:
    track = _track(*(min(minute, 30) for minute in range(30)), *(60 + minute / 6 for minute in range(121)))
    trend = trend_of(track, 1800)
    assert trend is not None
    assert trend.slope.value == pytest.approx(10)
    assert trend.hours == 2
    assert trend.growth == pytest.approx(15, abs=1)


@pytest.mark.parametrize(
    ("minutes", "step", "is_known"),
    [(31, 1, True), (30, 1, False), (60, 4, False), (200, 8, True), (0, 1, False)],
)
def test_a_trend_needs_half_an_hour_and_twenty_readings(minutes: int, step: int, is_known: bool) -> None:
    track = Track(None, "store", None, float("-inf"))
    for minute in range(0, minutes, step):
        track.add(NOON_MS, minute * 60.0, 60 * MB)
    assert (trend_of(track, 1800) is not None) is is_known


@pytest.mark.parametrize(
    ("value", "low", "high", "status"),
    [
        (0, -1, 1, Outcome.PASS),
        (9, 8, 9.9, Outcome.PASS),
        (9, 8, 10.1, Outcome.UNKNOWN),
        (12, -1, 30, Outcome.UNKNOWN),
        (10, 0.1, 30, Outcome.FAIL),
        (12, 11, 13, Outcome.FAIL),
    ],
)
def test_growth_is_judged_by_the_whole_interval(
    value: float, low: float, high: float, status: Outcome
) -> None:
    assert _judged(replace(FLAT, slope=Slope(value, low, high)))[0] is status


@pytest.mark.parametrize(
    ("first", "last", "status"),
    [(60, 67.9, Outcome.PASS), (60, 68.1, Outcome.FAIL), (200, 219, Outcome.PASS), (200, 221, Outcome.FAIL)],
)
def test_a_plateau_may_rise_by_a_tenth_or_by_eight_megabytes(
    first: float, last: float, status: Outcome
) -> None:
    assert _judged(replace(FLAT, first_quarter=first, last_quarter=last))[1] is status


def test_the_worst_run_of_the_worst_process_counts() -> None:
    leak = replace(FLAT, slope=Slope(50, 40, 60), last_quarter=200)
    processes = [
        Judged("gate of a", [FLAT, leak, FLAT]),
        Judged("store of a", [FLAT]),
        Judged("gate of b", []),
    ]
    growth, plateau, *_ = judge(Fold(Period(0, 1), 0), processes)
    assert (growth.status, growth.value) == (Outcome.FAIL, 50)
    assert (plateau.status, plateau.value) == (Outcome.FAIL, 140)
    assert "gate of a" in growth.sentence
    assert "after warm-up: gate of b" in growth.sentence, "and what is not known is named"


def test_a_process_of_which_nothing_is_known_keeps_the_target_from_passing() -> None:
    growth, *_ = judge(Fold(Period(0, 1), 0), [Judged("gate of a", [FLAT]), Judged("gate of b", [])])
    assert growth.status is Outcome.UNKNOWN


def test_the_worst_outcome_is_that_of_all() -> None:
    assert worst([Outcome.PASS, Outcome.UNKNOWN]) is Outcome.UNKNOWN
    assert worst([Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL]) is Outcome.FAIL
    assert worst([Outcome.PASS]) is Outcome.PASS
    assert worst([]) is Outcome.UNKNOWN


@pytest.mark.parametrize(("amount", "text"), [(-0.001, "+0.00"), (0.005001, "+0.01"), (-1.236, "-1.24")])
def test_what_rounds_to_nothing_has_no_minus(amount: float, text: str) -> None:
    assert signed(amount) == text
