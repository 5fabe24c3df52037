"""What the loads deliver, and to whom, without a clock."""

import time
from itertools import count, islice

import pytest

from benchmarks.common.background import sampled
from benchmarks.common.bodies import pool_of
from benchmarks.common.constant_rate import BEHIND_SECONDS, Answers, Rate, _batches, at_rate, post_when_due
from benchmarks.common.deliveries import Deliveries, bodies_needed
from benchmarks.common.loader import Stream
from benchmarks.common.plan import FEEDS, Plan
from tests.support.processes import free_port, wait_until

PLAN = Plan("small", batch_items=2, connections=3, behind=(4, 10))


def test_with_a_lag_the_first_feed_begins_every_batch_and_the_others_follow_by_so_many() -> None:
    deliveries = Deliveries(pool_of(PLAN, bodies_needed(PLAN), seed=1), PLAN)
    assert [deliveries.take(feed) for feed in (1, 2)] == [None, None]
    begun = [deliveries.take(0) for _ in range(6)]
    assert [one[0] for one in begun if one] == [0, 1, 2, 3, 4, 5]
    seconds = [deliveries.take(1) for _ in range(6)]
    assert [one[0] for one in seconds if one] == [0, 1, 2, 3, 4], "four items are two batches"
    thirds = [deliveries.take(2) for _ in range(6)]
    assert [one[0] for one in thirds if one] == [0, 1], "ten items are five batches"


def test_no_batch_is_begun_in_a_body_whose_copies_are_not_answered_yet() -> None:
    pool = pool_of(PLAN, bodies_needed(PLAN), seed=1)
    deliveries = Deliveries(pool, PLAN)
    taken = [deliveries.take(0) for _ in range(len(pool) + 1)]
    assert taken[-1] is None
    assert all(taken[:-1])
    for feed in range(3):
        if feed:
            assert deliveries.take(feed)
        deliveries.answered(0)
    again = deliveries.take(0)
    assert again is not None
    assert again[0] == len(pool)


def test_what_was_begun_is_delivered_to_the_end() -> None:
    deliveries = Deliveries(pool_of(PLAN, bodies_needed(PLAN), seed=1), PLAN)
    for _ in range(3):
        deliveries.take(0)
    deliveries.finish()
    assert deliveries.take(0) is None
    left = [deliveries.take(feed) for feed in (1, 1, 1, 2, 2, 2)]
    for number in [0, 1, 2, *(one[0] for one in left if one)]:
        assert not deliveries.is_over
        deliveries.answered(number)
    assert deliveries.is_over


def test_a_constant_load_is_due_at_its_rate_and_each_feed_is_first_at_times() -> None:
    batches = list(islice(_batches(1000, seed=1), 30))
    dues = [due for due, _, _ in batches]
    assert [due - dues[0] for due in dues] == pytest.approx([0.1 * number for number in range(30)])
    assert {tuple(sorted(behind)) for _, behind, _ in batches} == {BEHIND_SECONDS}
    assert {behind.index(0.0) for _, behind, _ in batches} == set(range(len(FEEDS)))
    assert len({body for _, _, body in batches}) == 30


def test_posts_that_nobody_answers_are_counted_and_the_next_ones_are_sent() -> None:
    posts = iter([(time.monotonic(), b"[]") for _ in range(3)])
    answers = post_when_due(f"http://127.0.0.1:{free_port()}", [Stream("/transactions", posts)])
    assert answers.statuses == {0: 3}
    assert answers.seconds() == []
    with pytest.raises(SystemExit, match="not taken"):
        answers.checked()


def test_what_is_not_taken_ends_the_run_and_so_does_a_duplicate_of_what_is_new() -> None:
    answers = Answers()
    answers.take(0, time.monotonic(), 200, b'{"accepted":1,"duplicate":1,"invalid":0}')
    answers.take(0, time.monotonic(), 200, b"+OK\r\n")
    assert answers.checked().items == {"accepted": 1, "duplicate": 1, "invalid": 0}
    with pytest.raises(SystemExit, match="not taken"):
        answers.checked(are_new=True)
    answers.take(0, time.monotonic(), 503, b'{"title":"no"}')
    with pytest.raises(SystemExit, match="not taken"):
        answers.checked()


def test_bodies_are_due_at_their_rate_some_of_them_at_once_each_over_the_next_connection() -> None:
    streams = list(at_rate([b"0", b"1", b"2", b"3"], Rate(10.0, ["a", "b"], connections=2, at_once=2)))
    assert [stream.path for stream in streams] == ["/transactions?source=a"] * 2 + [
        "/transactions?source=b"
    ] * 2
    posts = [[post for post in stream.posts if post] for stream in streams]
    assert [[body for _, body in one] for one in posts] == [[b"0", b"2"], [b"1", b"3"]] * 2
    begins = posts[0][0][0]
    assert [[due - begins for due, _ in one] for one in posts] == [[0, pytest.approx(0.2)]] * 4


def test_samples_are_taken_until_the_block_ends_and_one_that_fails_is_raised() -> None:
    numbers = count()
    with sampled(lambda: next(numbers), 0.001) as samples:
        assert wait_until(lambda: len(samples) > 2, 60.0)
    assert samples == list(range(len(samples)))
    with pytest.raises(ZeroDivisionError), sampled(lambda: 1 / 0, 0.001):
        pass
