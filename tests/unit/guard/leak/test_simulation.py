"""A hundred runs of each case, with fixed seeds; `python -m benchmarks.detection` makes more."""

from dataclasses import replace

import pytest

from tests.support.simulation.cases import LEAK_FREE, LEAKS, Case
from tests.support.simulation.memory import HOUR, READING_SECONDS
from tests.support.simulation.replay import BLOCK_SECONDS, onset, replay

pytestmark = pytest.mark.slow

RUNS = 100
REQUIRED = [
    "steady",
    "sawtooth",
    "daily wave",
    "warm-up",
    "bursts",
    "+40 MB, explained",
    "+40 MB, unexplained",
]
ACTED_UPON = [case for case in LEAKS if not case.is_for_report]
REPORTED = [case for case in LEAKS if case.is_for_report]


def quiet(name: str) -> Case:
    case = next(case for case in LEAK_FREE if case.name == name)
    return replace(case, hours=5)


@pytest.mark.parametrize("case", [quiet(name) for name in REQUIRED], ids=lambda case: case.name)
def test_without_a_leak_fewer_than_one_run_in_a_hundred_ends_in_an_action(case: Case) -> None:
    acted = [seed for seed in range(RUNS) if replay(case, seed).action_at is not None]
    assert len(acted) < RUNS / 100, f"acted without a leak, seeds {acted}"


@pytest.mark.parametrize("case", ACTED_UPON, ids=lambda case: case.name)
def test_a_leak_is_found_in_time_and_not_before_it_starts(case: Case) -> None:
    delays = {
        seed: (replay(case, seed).action_at or float("inf")) - onset(case, seed) for seed in range(RUNS)
    }
    late = {seed: delay / 60 for seed, delay in delays.items() if not 0 <= delay <= case.within}
    assert len(late) <= RUNS / 100, f"minutes after the onset, by seed: {late}"


@pytest.mark.parametrize("case", REPORTED, ids=lambda case: case.name)
def test_a_leak_too_slow_to_act_upon_is_reported_within_a_day_and_a_half(case: Case) -> None:
    # A reading for each block of the slow window: shorter windows stay empty, the daily one sees the same.
    reported = {seed: replay(case, seed, 4 * BLOCK_SECONDS).daily_at for seed in range(RUNS)}
    delays = {seed: (at or float("inf")) - onset(case, seed) for seed, at in reported.items()}
    late = {seed: delay / HOUR for seed, delay in delays.items() if not 0 <= delay <= case.within}
    assert len(late) <= RUNS / 100, f"hours after the onset, by seed: {late}"


@pytest.mark.parametrize("case", ACTED_UPON[:2], ids=lambda case: case.name)
def test_readings_every_five_seconds_find_what_block_minima_find(case: Case) -> None:
    for seed in range(5):
        fine, coarse = (replay(case, seed, step) for step in (READING_SECONDS, BLOCK_SECONDS))
        assert fine.action_at is not None
        assert coarse.action_at is not None
        assert 0 <= fine.action_at - onset(case, seed) <= case.within
        assert fine.tier == coarse.tier
