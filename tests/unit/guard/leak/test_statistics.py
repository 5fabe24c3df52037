from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.guard.leak.statistics import mann_kendall, theil_sen

VALUES = [2.0, 2.5, 1.0, 4.0, 4.5, 4.5, 6.0, 5.0, 9.0, 8.5]
WHOLE = st.integers(-(10**6), 10**6)


def noisy_line() -> list[tuple[float, float]]:
    random = Random(7)
    return [(at, round(100 + 0.01 * at + random.gauss(0, 2), 1)) for at in (120.0 * n for n in range(60))]


def exact_p_value(values: list[float]) -> float:
    """By counting all orders of the values."""

    def score(order: tuple[float, ...]) -> int:
        return sum((b > a) - (b < a) for i, a in enumerate(order) for b in order[i + 1 :])

    reached = abs(score(tuple(values)))
    scores = [abs(score(order)) for order in permutations(values)]
    return sum(one >= reached for one in scores) / len(scores)


def test_slope_and_interval_are_those_of_scipy() -> None:
    # scipy.stats.theilslopes 1.17.1
    few = theil_sen(list(enumerate(VALUES)))
    many = theil_sen(noisy_line())
    assert (few.value, few.low, few.high) == pytest.approx((0.75, 0.5, 1.0714285714285714))
    assert (many.value, many.low, many.high) == pytest.approx(
        (0.010011261261261273, 0.009791666666666659, 0.010231481481481479)
    )


def test_a_third_of_the_points_may_be_wild() -> None:
    points = [(float(x), 3.0 * x) for x in range(30)]
    for spoiled in range(0, 30, 4):
        points[spoiled] = (float(spoiled), 1e6)
    assert theil_sen(points).value == pytest.approx(3, abs=0.5)


@given(st.lists(WHOLE, min_size=2, max_size=20), st.integers(-50, 50), WHOLE)
def test_a_line_added_to_the_values_is_added_to_the_slope(values: list[int], slope: int, level: int) -> None:
    before = theil_sen(list(enumerate(values)))
    after = theil_sen([(x, y + slope * x + level) for x, y in enumerate(values)])
    assert before.low <= before.value <= before.high
    assert after.value == pytest.approx(before.value + slope, abs=1e-6)


@given(st.lists(WHOLE, min_size=3, max_size=20))
def test_a_series_turned_upside_down_has_the_opposite_trend(values: list[int]) -> None:
    up, down = mann_kendall(values), mann_kendall([-value for value in values])
    assert up.z == -down.z
    assert up.p_value == down.p_value


@pytest.mark.parametrize(
    "values", [[1, 2, 3, 4, 5, 6, 7], [3, 1, 2, 5, 4, 7, 6], [1, 1, 2, 2, 3, 3, 3], [2, 7, 1, 6, 3, 5, 4]]
)
def test_p_value_is_near_that_of_counting_all_orders(values: list[float]) -> None:
    assert mann_kendall(values).p_value == pytest.approx(exact_p_value(values), abs=0.03)


def test_ties_are_corrected_for() -> None:
    # By hand: 9 of the 10 pairs rise, and the variance is (5 * 4 * 15 - 2 * 1 * 9) / 18.
    assert mann_kendall([1, 2, 2, 3, 4]).z == pytest.approx(8 / ((300 - 18) / 18) ** 0.5)


@pytest.mark.parametrize("values", [[], [1], [1, 2], [5, 5, 5, 5], [1, 3, 1]])
def test_too_few_or_equal_values_tell_nothing(values: list[float]) -> None:
    assert mann_kendall(values).p_value == 1


@pytest.mark.parametrize("points", [[], [(1.0, 1.0)], [(1.0, 1.0), (1.0, 2.0)]])
def test_no_slope_without_two_moments(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="two points"):
        theil_sen(points)
