"""A feed's share of the rate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import RateLimited
from app.feeds.rate_limit import RateShare


def _refused_for(share: RateShare, count: int, now: float) -> int:
    with pytest.raises(RateLimited) as refused:
        share.take(count, now)
    return refused.value.retry_after_seconds


def test_a_second_of_the_rate_is_taken_at_once_and_then_as_it_comes() -> None:
    share = RateShare(100)
    share.take(60, 5000.0)
    share.take(40, 5000.0)
    assert _refused_for(share, 1, 5000.0) == 1
    share.take(50, 5000.5)
    assert _refused_for(share, 1, 5000.5) == 1


def test_a_body_is_refused_whole() -> None:
    share = RateShare(100)
    share.take(60, 0)
    assert _refused_for(share, 41, 0) == 1
    share.take(40, 0)


def test_a_body_larger_than_the_bucket_is_taken_when_that_is_full_and_paid_for_afterwards() -> None:
    share = RateShare(100)
    share.take(1000, 0)
    assert _refused_for(share, 1, 0) == 10, "900 that are owed and one: 9.01 s"
    assert _refused_for(share, 100, 0) == 10
    assert _refused_for(share, 1, 9.0) == 1
    share.take(100, 10)
    assert _refused_for(share, 1000, 10) == 1
    share.take(1000, 11)


def test_a_share_that_was_not_used_for_long_is_no_more_than_full() -> None:
    share = RateShare(100)
    share.take(100, 0)
    share.take(100, 86_400)
    assert _refused_for(share, 1, 86_400) == 1


def test_a_body_without_transactions_is_always_taken() -> None:
    share = RateShare(1)
    share.take(1000, 0)
    share.take(0, 0)


def test_a_share_below_one_a_second_still_lets_one_through() -> None:
    share = RateShare(0.25)
    share.take(1, 0)
    assert _refused_for(share, 1, 0) == 4
    share.take(1, 4)


def test_the_refusal_says_what_the_share_is() -> None:
    share = RateShare(100)
    share.take(100, 0)
    with pytest.raises(
        RateLimited, match=r"100 transactions a second \(transactions_per_second\)"
    ) as refused:
        share.take(7, 0)
    assert refused.value.status == 429


@given(
    per_second=st.integers(1, 10_000),
    bodies=st.lists(st.tuples(st.integers(0, 20_000), st.floats(0, 3)), min_size=1, max_size=40),
    start=st.floats(0, 1e7),
)
def test_whoever_waits_as_long_as_told_is_let_in_and_no_more_than_the_share_passes(
    per_second: int, bodies: list[tuple[int, float]], start: float
) -> None:
    share, now, taken, largest = RateShare(per_second), start, 0, 0
    for count, pause in bodies:
        now += pause
        try:
            share.take(count, now)
        except RateLimited as refused:
            now += refused.retry_after_seconds
            share.take(count, now)
        taken, largest = taken + count, max(largest, count)
    # A second of the share at the beginning, the time since, and the debt of the last body.
    assert taken <= per_second * (1 + now - start) + largest + 1
