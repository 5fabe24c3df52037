"""What goes wrong with those who deliver, and with a consumer."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.causes.course import Cause
from benchmarks.causes.stack import Build, Stack
from benchmarks.causes.traffic import STEADY

TEN_TIMES = Build(faster=10)
FIVE_MINUTES = 300


@contextmanager
def one_silent(stack: Stack) -> Iterator[None]:
    """One of three feeds stops."""
    stack.traffic.feeds[1].is_silent = True
    yield
    stack.traffic.feeds[1].is_silent = False


@contextmanager
def all_silent(stack: Stack) -> Iterator[None]:
    """All feeds stop."""
    for feed in stack.traffic.feeds:
        feed.is_silent = True
    yield
    for feed in stack.traffic.feeds:
        feed.is_silent = False


@contextmanager
def one_garbled(stack: Stack) -> Iterator[None]:
    """One feed sends what has no shape that is known."""
    stack.traffic.feeds[1].is_garbled = True
    yield
    stack.traffic.feeds[1].is_garbled = False


@contextmanager
def one_refused(stack: Stack) -> Iterator[None]:
    """One feed sends a token that the gate does not take."""
    feed = stack.traffic.feeds[1]
    token, feed.token = feed.token, "of-somebody-else"
    yield
    feed.token = token


@contextmanager
def all_refused(stack: Stack) -> Iterator[None]:
    """No feed's token is taken, as after it was changed at the gates; the consumer's still is."""
    token = stack.traffic.token
    for feed in stack.traffic.feeds:
        feed.token = "of-somebody-else"
    yield
    for feed in stack.traffic.feeds:
        feed.token = token


@contextmanager
def all_refused_for_minutes(stack: Stack) -> Iterator[None]:
    """No feed's token is taken for five minutes of the rules' clock: less than the page waits."""
    with all_refused(stack):
        time.sleep(FIVE_MINUTES / stack.faster)
    yield


@contextmanager
def silent_beside_a_stranger(stack: Stack) -> Iterator[None]:
    """One of three feeds stops, while somebody tries tokens."""
    with stack.traffic.stranger(), one_silent(stack):
        yield


@contextmanager
def stopped_beside_a_stranger(stack: Stack) -> Iterator[None]:
    """All feeds stop, while somebody tries tokens."""
    with stack.traffic.stranger(), all_silent(stack):
        yield


@contextmanager
def slow_consumer(stack: Stack) -> Iterator[None]:
    """The consumer takes less than comes, and then again all there is."""
    stack.traffic.consumer_takes = 1
    yield
    stack.traffic.consumer_takes = STEADY


@contextmanager
def dead_consumer(stack: Stack) -> Iterator[None]:
    """The consumer makes no call any more, and then again."""
    stack.traffic.consumer_takes = 0
    yield
    stack.traffic.consumer_takes = STEADY


CAUSES = (
    Cause(
        "feed-silent",
        "One of three feeds delivers nothing any more",
        "TidegateFeedSilent",
        "humans",
        one_silent,
        "the feed delivers again",
        TEN_TIMES,
        warm_up_seconds=150.0,
    ),
    Cause(
        "feeds-stopped",
        "All feeds deliver nothing any more",
        "TidegateIngestStopped",
        "pager",
        all_silent,
        "the feeds deliver again",
        TEN_TIMES,
        warm_up_seconds=150.0,
    ),
    Cause(
        "feed-rejected",
        "One feed sends bodies of a shape that nobody knows",
        "TidegateFeedRejected",
        "humans",
        one_garbled,
        "the feed sends what it sent before",
    ),
    Cause(
        "token-refused",
        "One feed sends a token that the gates do not take",
        "TidegateFeedTokensRefused",
        "humans",
        one_refused,
        "the right token",
    ),
    Cause(
        "token-refused-for-long",
        "One feed has delivered for hours, and then sends such a token for an hour",
        "TidegateFeedTokensRefused",
        "humans",
        one_refused,
        "the right token",
        TEN_TIMES,
        warm_up_seconds=150.0,
        hold_seconds=420.0,
    ),
    Cause(
        "tokens-refused",
        "The tokens of all feeds are taken no more, as after a change at the gates",
        "TidegateIngestRejected",
        "pager",
        all_refused,
        "the right tokens",
        TEN_TIMES,
        warm_up_seconds=150.0,
        hold_seconds=180.0,
    ),
    Cause(
        "tokens-refused-for-minutes",
        "The same for five minutes",
        "TidegateFeedTokensRefused",
        "humans",
        all_refused_for_minutes,
        "the right tokens",
        TEN_TIMES,
        warm_up_seconds=150.0,
        hold_seconds=0.0,
    ),
    Cause(
        "feed-silent-beside-stranger",
        "One of three feeds delivers nothing any more, while somebody tries tokens",
        "TidegateFeedSilent",
        "humans",
        silent_beside_a_stranger,
        "the feed delivers again, and nobody tries",
        TEN_TIMES,
        warm_up_seconds=150.0,
        besides=("TidegateFeedTokensRefused",),
    ),
    Cause(
        "feeds-stopped-beside-stranger",
        "All feeds deliver nothing any more, while somebody tries tokens",
        "TidegateIngestStopped",
        "pager",
        stopped_beside_a_stranger,
        "the feeds deliver again, and nobody tries",
        TEN_TIMES,
        warm_up_seconds=150.0,
        besides=("TidegateFeedTokensRefused",),
    ),
    Cause(
        "consumer-lags",
        "A consumer takes less than comes, and is more than half of the retention behind",
        "TidegateConsumerLagging",
        "humans",
        slow_consumer,
        "the consumer is as fast as before",
        Build(gates=({"transaction_retention_seconds": 300},)),
        hold_seconds=0.0,
    ),
    Cause(
        "consumer-gone",
        "A consumer makes no call any more",
        "TidegateConsumerGone",
        "humans",
        dead_consumer,
        "the consumer started again",
        Build(gates=({"transaction_retention_seconds": 900},)),
        hold_seconds=120.0,
    ),
)
