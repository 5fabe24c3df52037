"""Rates between readings of the counters."""

import pytest

from app.models import TransactionOutcome
from app.web.rates import KEPT_SECONDS, Reading, Readings

OUTCOMES = dict.fromkeys(TransactionOutcome, 0)


def _reading(at_seconds: float, accepted: int, duplicate: int = 0, **others: int) -> Reading:
    grown = {"accepted": accepted, "duplicate": duplicate, **others}
    outcomes = OUTCOMES | {TransactionOutcome(name): amount for name, amount in grown.items()}
    return Reading(at_seconds, outcomes, {"helius-a": accepted + duplicate})


def _readings(*each: Reading) -> Readings:
    readings = Readings()
    for one in each:
        readings.add(one)
    return readings


def test_one_reading_says_no_rate() -> None:
    readings = _readings(_reading(1, 1000))
    assert (readings.rates(), readings.per_second("helius-a"), readings.past()) == (None, None, [])


def test_a_rate_is_that_of_the_last_five_seconds() -> None:
    readings = _readings(*(_reading(at, 0 if at < 10 else 100 * (at - 10), 10 * at) for at in range(16)))
    assert readings.rates() == {"accepted": 100.0, "duplicate": 10.0, "not_taken": 0.0}
    assert readings.per_second("helius-a") == 110.0
    assert readings.per_second("new") == 0.0


def test_what_was_invalid_refused_or_failed_was_not_taken() -> None:
    readings = _readings(_reading(0, 0), _reading(2, 0, invalid=2, refused=4, failed=6))
    assert readings.rates() == {"accepted": 0.0, "duplicate": 0.0, "not_taken": 6.0}


def test_who_looks_again_after_a_while_sees_the_mean_of_that_while() -> None:
    readings = _readings(_reading(0, 0), _reading(20, 100))
    assert readings.rates() == {"accepted": 5.0, "duplicate": 0.0, "not_taken": 0.0}


def test_the_past_has_a_rate_for_each_reading_but_the_first_and_ends_after_a_minute() -> None:
    readings = _readings(*(_reading(at, at * at) for at in range(200)))
    past = readings.past()
    assert [age for age, _ in past] == list(range(int(KEPT_SECONDS) - 1, -1, -1))
    assert past[-1][1]["accepted"] == pytest.approx(199**2 - 198**2)
