"""What is counted of a source: firsts that a replay cannot win, the window that is recommended, silence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.delay_histogram import BOUNDS_MS, DelayHistogram
from app.ingest.source_statistics import SourceStatistics
from app.ingest.source_views import Part, SourceView
from app.models import ACCEPTED, SampledTransaction

NOW_MS = 1_700_000_000_000


def statistics(now_ms: float = NOW_MS, window_seconds: float = 5) -> SourceStatistics:
    """Statistics at this time, under this window."""
    return SourceStatistics(str, lambda: window_seconds, lambda: now_ms)


def view(counted: SourceStatistics, name: str) -> SourceView:
    """One source."""
    [found] = [one for one in counted.view().sources if one.source == name]
    return found


def samples(source: str, *late_ms: int | None) -> list[SampledTransaction]:
    """Samples of a source that were accepted, some of them late."""
    return [SampledTransaction(bytes(16), source, NOW_MS, late) for late in late_ms]


def test_a_replay_of_everything_wins_no_first_share() -> None:
    counted = statistics()
    counted.note({("a", ACCEPTED): 1_000, ("replay", ACCEPTED): 1_000}, NOW_MS)
    counted.note_samples(samples("a", *[None] * 60), 16)
    counted.note_samples(samples("replay", *[70_000] * 60), 16)
    assert (view(counted, "a").first_share, view(counted, "replay").first_share) == (1.0, 0.0)
    assert [one.source for one in counted.view().sources] == ["a", "replay"]
    late = view(counted, "replay").late
    assert late is not None
    assert (late.count, late.share) == (960, 1.0)
    assert 60_000 < late.age_ms.p50 <= late.age_ms.p99 <= 70_000


def test_no_more_are_late_than_were_accepted() -> None:
    counted = statistics()
    counted.note({("a", ACCEPTED): 4}, NOW_MS)
    counted.note_samples(samples("a", 70_000), 16)
    late = view(counted, "a").late
    assert late is not None
    assert (late.count, late.share) == (4, 1.0)


@given(st.lists(st.integers(0, 8_000_000), min_size=1), st.lists(st.integers(100, 8_000_000)))
def test_the_recommended_window_is_the_least_bound_that_covers(delays: list[int], ages: list[int]) -> None:
    counted = statistics()
    for delay in delays:
        counted.note({("a", delay + 1): 1}, NOW_MS)
    counted.note_samples(samples("b", *ages), 16)
    counted.note({("b", ACCEPTED): 1}, NOW_MS)
    window = counted.recommended_window_seconds()
    assert window is not None
    came_again = sorted([*delays, *(age for age in ages for _ in range(16))])
    covered = sum(delay <= 1000 * window for delay in came_again) / len(came_again)
    assert covered >= 0.999 or window == 3600
    below = [bound for bound in BOUNDS_MS if bound < 1000 * window]
    if window > 0.1:
        assert sum(delay <= below[-1] for delay in came_again) / len(came_again) < 0.999


def test_without_anything_that_came_again_no_window_is_recommended() -> None:
    counted = statistics()
    assert counted.recommended_window_seconds() is None
    counted.note({("a", ACCEPTED): 5}, NOW_MS)
    counted.note_samples(samples("a", None, None), 16)
    assert counted.view().recommended_window_seconds is None


def test_a_few_late_ones_are_not_enough_for_a_warning() -> None:
    counted = statistics()
    counted.note({("a", ACCEPTED): 500}, NOW_MS)
    counted.note_samples(samples("a", *[60_500] * 9), 16, times=4)
    assert counted.recommended_window_seconds() == 70
    assert counted.recommended_window_seconds(least_late=10) is None
    counted.note_samples(samples("a", 60_500), 16)
    assert counted.recommended_window_seconds(least_late=10) == 70


@pytest.mark.parametrize(("seconds", "is_silent"), [(0, False), (59, False), (60, True), (4000, True)])
def test_a_source_is_silent_when_nothing_came_for_a_minute(seconds: int, is_silent: bool) -> None:
    counted = statistics(NOW_MS + 1000 * seconds)
    counted.note({("a", ACCEPTED): 1}, NOW_MS)
    found = view(counted, "a")
    assert found.last_seen_ms == NOW_MS
    assert found.silent_since_ms == (NOW_MS if is_silent else None)


def test_the_highest_slot_of_each_source_is_kept() -> None:
    counted = statistics()
    counted.note({("a", ACCEPTED): 3, ("b", 7): 1, ("c", ACCEPTED): 1}, NOW_MS)
    counted.note_slots(["a", "b", "a", "c"], [7, 3, 9, None])
    counted.note_slots(["a", "a"], [8, None])
    counted.note_slots(["c"], [None])
    assert [view(counted, name).highest_slot for name in "abc"] == [9, 3, None]


def near_window(counted: SourceStatistics) -> dict[str, float]:
    """What each source delivered nearly too late, as the metric has it."""
    [family] = [one for one in counted.collect() if one.name == "tidegate_source_near_window"]
    return {sample.labels["source"]: sample.value for sample in family.samples}


@pytest.mark.parametrize(("window_seconds", "near"), [(5, 7), (5.01, 3), (10, 3), (10.1, 0)])
def test_what_comes_after_eighty_percent_of_the_window_is_counted(window_seconds: float, near: int) -> None:
    counted = statistics(window_seconds=window_seconds)
    delays = {4_000: 100, 4_001: 4, 8_001: 3}
    counted.note({("a", 1 + delay): times for delay, times in delays.items()} | {("b", 1): 5}, NOW_MS)
    assert near_window(counted) == {"a": near, "b": 0, "other": 0}
    whole = statistics()
    for _ in range(2):
        whole.grow("a", counted.totals()["a"])
    assert near_window(whole)["a"] == 2 * near


def test_what_several_processes_counted_adds_up() -> None:
    parts, whole = [statistics() for _ in range(2)], statistics()
    for at, part in enumerate(parts):
        part.note({("a", ACCEPTED): 100, ("a", 5): 10, ("b", ACCEPTED): 50}, NOW_MS + at)
        part.note_slots(["a"], [70 - at])
        part.note_samples(samples("a", None, 61_000, None, None), 16)
        part.note_looked_up("a", NOW_MS, 48, 16, 32)
        for name, totals in part.totals().items():
            whole.grow(name, totals)
    found = view(whole, "a")
    assert (found.accepted, found.duplicate, found.highest_slot) == (200, 20, 70)
    assert found.last_seen_ms == NOW_MS + 1
    assert found.late is not None
    assert (found.late.count, found.late.share) == (32, 0.25)
    assert found.missed == Part(count=64, share=0.4)
    assert found.solo == Part(count=32, share=0.25)


@given(st.lists(st.integers(0, 3_600_000), min_size=1, max_size=100))
def test_a_bound_covers_its_share(delays: list[int]) -> None:
    histogram = DelayHistogram()
    for delay in delays:
        histogram.observe(delay)
    [covered] = histogram.up_to([histogram.bound(0.5)])
    assert 2 * covered >= len(delays)


def test_many_histograms_in_one_have_the_delays_of_all() -> None:
    one, other, both = DelayHistogram(), DelayHistogram(), DelayHistogram()
    for delay in (0, 7, 450, 3_700_000):
        one.observe(delay)
        both.observe(delay)
    for delay in (7, 61_000):
        other.observe(delay, times=16)
        both.observe(delay, times=16)
    assert DelayHistogram.merged([one, DelayHistogram(), other]).numbers == both.numbers
    assert DelayHistogram.merged([]).count == 0
