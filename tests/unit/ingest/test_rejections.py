"""What is not taken is told: one line a feed, reason and minute, without secrets, in bounded memory."""

import pytest
from structlog.testing import capture_logs

from app.errors import Unauthorized
from app.ingest.rejections import REASONS, UNKNOWN_SHAPE, Rejections, cut, shown, warnings_of
from app.metrics.catalogue import Metrics
from tests.support.api_calls import events

NOT_TAKEN = "feed not taken"
MINUTE = 60.0


class Clock:
    """Seconds since the epoch, as the test says."""

    def __init__(self) -> None:
        self.now = 1_764_403_200.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(2, "0")


@pytest.fixture
def rejections(metrics: Metrics, clock: Clock) -> Rejections:
    return Rejections(metrics, clock)


def counted(metrics: Metrics, feed: str, reason: str) -> float | None:
    labels = {"feed": feed, "reason": reason}
    return metrics.registry.get_sample_value("tidegate_feed_rejected_total", labels)


def test_the_first_of_a_minute_is_told_at_once_and_the_others_with_the_next_minutes_first(
    rejections: Rejections, metrics: Metrics, clock: Clock
) -> None:
    with capture_logs() as logs:
        for _ in range(100):
            rejections.note("helius-a", UNKNOWN_SHAPE, "an object with a", b'{"a":1}')
        clock.now += MINUTE
        rejections.note("helius-a", UNKNOWN_SHAPE, "an object with b", b'{"b":1}', times=3)
    first, second = events(logs, NOT_TAKEN)
    assert (first["feed"], first["reason"], first["times"]) == ("helius-a", UNKNOWN_SHAPE, 1)
    assert (first["detail"], first["body"]) == ("an object with a", '{"a":1}')
    assert (second["times"], second["body"]) == (102, '{"b":1}')
    assert counted(metrics, "helius-a", UNKNOWN_SHAPE) == 103


def test_each_feed_and_reason_has_its_line(rejections: Rejections) -> None:
    with capture_logs() as logs:
        for feed in ("a", "b"):
            for reason in REASONS:
                rejections.note(feed, reason, "")
    assert len(events(logs, NOT_TAKEN)) == 2 * len(REASONS)


def test_feeds_past_the_limit_on_sources_are_one(rejections: Rejections, metrics: Metrics) -> None:
    with capture_logs() as logs:
        for number in range(1_000):
            rejections.note(f"feed-{number}", UNKNOWN_SHAPE, "")
    told = [(line["feed"], line["counted_as"]) for line in events(logs, NOT_TAKEN)]
    assert told == [("feed-0", "feed-0"), ("feed-1", "feed-1"), ("feed-2", "other")]
    assert set(rejections.latest) == {"feed-0", "feed-1", "other"}
    assert counted(metrics, "other", UNKNOWN_SHAPE) == 998


def test_who_was_not_let_in_takes_no_feeds_place(rejections: Rejections, metrics: Metrics) -> None:
    rejections.note("helius-a", UNKNOWN_SHAPE, "")
    for name in ("helius-a", "guessed-1", "guessed-2"):
        rejections.note(name, Unauthorized.slug, "")
    assert counted(metrics, "helius-a", Unauthorized.slug) == 1
    assert counted(metrics, "other", Unauthorized.slug) == 2
    assert metrics.source_limit.label("quicknode-a") == "quicknode-a"


def test_a_feed_that_was_never_let_in_is_named_though_it_is_counted_as_other(
    rejections: Rejections, clock: Clock
) -> None:
    with capture_logs() as logs:
        for name in ("quicknode-a", "quicknode-b"):
            rejections.note(name, Unauthorized.slug, "x-qn-signature is missing")
            clock.now += MINUTE
    assert [line["feed"] for line in events(logs, NOT_TAKEN)] == ["quicknode-a", "quicknode-b"]
    [(key, sentence)] = warnings_of([rejections.latest], never, clock.now)
    assert str(key) == "feed_not_taken:other"
    assert sentence.startswith("What the feed quicknode-b, counted as `other`, sent was not taken, last at ")


def never(_: str) -> int:
    """Of no feed anything was taken."""
    return 0


def test_a_feed_is_a_warning_for_ten_minutes_with_the_newest_of_all_processes(
    rejections: Rejections, metrics: Metrics, clock: Clock
) -> None:
    other = Rejections(metrics, clock)
    rejections.note("helius-a", UNKNOWN_SHAPE, "an object with a")
    clock.now += MINUTE
    other.note("helius-a", "malformed-body", "JSON is cut off (byte 7)")
    told = [rejections.latest, other.latest]
    [(key, sentence)] = warnings_of(told, never, clock.now + 599)
    assert str(key) == "feed_not_taken:helius-a"
    assert "helius-a" in sentence
    assert "08:01:00 UTC (malformed-body): JSON is cut off (byte 7)" in sentence
    assert list(warnings_of(told, never, clock.now + 601)) == []


def test_a_feed_that_is_taken_again_is_said_to_be_and_is_no_warning_two_minutes_later(
    rejections: Rejections, clock: Clock
) -> None:
    rejections.note("helius-a", UNKNOWN_SHAPE, "an object with a")
    rejected = clock.now

    def sentences(taken_seconds: float) -> list[str]:
        taken = {"helius-a": int((rejected + taken_seconds) * 1000)}
        found = warnings_of([rejections.latest], taken.__getitem__, rejected + 400)
        return [sentence for _, sentence in found]

    [before] = sentences(-1)
    assert "since then" not in before
    [again] = sentences(61)
    assert again.endswith(
        "08:00:00 UTC (unknown-shape); since then some was taken, last at 08:01:01 UTC: an object with a"
    )
    assert sentences(121) == []


def test_a_stranger_hides_no_warning_of_a_feed(
    rejections: Rejections, metrics: Metrics, clock: Clock
) -> None:
    other = Rejections(metrics, clock)
    rejections.note("a", UNKNOWN_SHAPE, "by the feed")
    clock.now += MINUTE
    for process in (rejections, other):
        process.note("a", "too-large", "by a stranger", None)
    told = [rejections.latest, other.latest]
    [(_, sentence)] = warnings_of(told, never, clock.now)
    assert sentence.endswith("by the feed")
    clock.now += 600 - MINUTE + 1
    rejections.note("a", "too-large", "by a stranger", None)
    [(_, sentence)] = warnings_of(told, never, clock.now)
    assert sentence.endswith("by a stranger")


def test_a_body_is_shown_as_a_line_that_is_not_long() -> None:
    assert shown(b'{"a":\n"\x1b[2J"}') == r'{"a":\n"\x1b[2J"}'
    assert shown('{"name":"\u202egnp"}'.encode()) == '{"name":"\\u202egnp"}'
    long = shown(b"[" + b"1," * 500)
    assert (len(long), long[-1]) == (201, "…")
    assert len(cut("\x00" * 1_000)) == 201
    assert cut("\x1f\ufffd") == "\\x1f\ufffd"


def test_secrets_are_hidden_in_the_body_and_in_what_is_wrong_with_it(rejections: Rejections) -> None:
    body = b'{"url":"https://rpc.example/?api-key=hush"}'
    with capture_logs() as logs:
        rejections.note("a", UNKNOWN_SHAPE, "invalid url: https://rpc.example/?api-key=hush", body)
    [line] = events(logs, NOT_TAKEN)
    assert line["detail"] == "invalid url: https://rpc.example/?api-key=…"
    assert line["body"] == '{"url":"https://rpc.example/?api-key=…"}'
    assert "hush" not in rejections.latest["a"].detail
