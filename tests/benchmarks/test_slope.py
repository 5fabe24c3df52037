"""The trend of the soak: its interval holds for memory as processes really hold it, and a leak is found."""

import random

import pytest

from benchmarks.common.plots import MB
from benchmarks.soak.trend import SECONDS_AN_HOUR, Point, floors, theil_sen, trend, variance_factor

SEEDS = range(60)
MINUTES, SAMPLE_SECONDS = 45, 5


def _memory(seed: int, mb_per_hour: float, resemblance: float) -> list[Point]:
    """45 minutes of a process that leaks at a rate, beside what it holds for a while and gives back."""
    draw, held, samples = random.Random(seed), 0.0, []
    for second in range(0, MINUTES * 60, SAMPLE_SECONDS):
        held = resemblance * held + draw.gauss(0, 0.2)
        in_flight = max(0.0, draw.gauss(0, 0.5))
        leaked = mb_per_hour * second / SECONDS_AN_HOUR
        samples.append((float(second), MB * (75 + leaked + abs(held) + in_flight)))
    return samples


def _trimmed(memory: list[Point], seed: int) -> list[Point]:
    """The same, with one sample in 200 at 6 MB less: its process has just given its heap back."""
    draw = random.Random(seed)
    return [(second, held - 6 * MB if draw.random() < 1 / 200 else held) for second, held in memory]


def _share_of_right_intervals(mb_per_hour: float, resemblance: float) -> float:
    found = [trend(_memory(seed, mb_per_hour, resemblance)) for seed in SEEDS]
    return sum(one.low <= mb_per_hour <= one.high for one in found) / len(found)


@pytest.mark.parametrize("resemblance", [0.0, 0.9, 0.98])
def test_the_true_slope_lies_in_the_interval_nine_times_in_ten(resemblance: float) -> None:
    assert _share_of_right_intervals(0.0, resemblance) >= 0.9
    assert _share_of_right_intervals(20.0, resemblance) >= 0.9


def test_the_usual_interval_would_not_hold_where_floors_resemble_those_before_them() -> None:
    right = 0
    for seed in SEEDS:
        slope = theil_sen(floors(_memory(seed, 0.0, 0.98), 60), variance_factor=1.0)
        right += slope.low <= 0 <= slope.high
    assert right / len(SEEDS) < 0.85


def test_memory_that_does_not_grow_is_under_five_mb_an_hour_and_a_leak_of_twenty_is_not() -> None:
    steady = [trend(_memory(seed, 0.0, 0.9)).high for seed in SEEDS]
    leaking = [trend(_memory(seed, 20.0, 0.9)).low for seed in SEEDS]
    assert max(steady) < 5
    assert min(leaking) > 5


def test_a_sample_taken_when_the_heap_was_just_given_back_does_not_widen_the_interval() -> None:
    steady = [trend(_trimmed(_memory(seed, 0.0, 0.9), seed)).high for seed in SEEDS]
    leaking = [trend(_trimmed(_memory(seed, 20.0, 0.9), seed)).low for seed in SEEDS]
    assert max(steady) < 5
    assert min(leaking) > 5


def test_the_trend_is_in_mb_an_hour() -> None:
    line = [(float(second), 80 * MB + 3 * MB * second / SECONDS_AN_HOUR) for second in range(0, 3600, 5)]
    found = trend(line)
    assert found.mb_per_hour == pytest.approx(3)
    assert [found.low, found.high] == pytest.approx([3, 3])


def test_a_floor_is_the_least_of_a_block_of_few_at_its_own_time() -> None:
    samples = [(0.0, 5.0), (30.0, 3.0), (59.0, 4.0), (60.0, 9.0), (190.0, 1.0)]
    assert floors(samples, 60) == [(30.0, 3.0), (60.0, 9.0), (190.0, 1.0)]


def test_a_twentieth_of_a_long_block_is_below_its_floor() -> None:
    assert floors([(float(second), float(40 - second)) for second in range(40)], 40) == [(37.0, 3.0)]


def test_steps_that_stay_raise_the_variance_and_noise_does_not() -> None:
    draw = random.Random(1)
    noise = [(60.0 * at, draw.random()) for at in range(45)]
    steps = [(60.0 * at, float(at // 15 % 2)) for at in range(45)]
    assert variance_factor(noise) == 1.0
    assert variance_factor(steps) > 2


def test_one_floor_has_no_trend() -> None:
    with pytest.raises(ValueError, match="two points"):
        trend([(0.0, 1.0), (5.0, 2.0)])
