from collections.abc import Callable
from dataclasses import replace

import pytest

from app.guard.leak.detector import Detector
from app.guard.leak.detector_rules import DetectorRules
from app.guard.leak.finding import Finding, Tier

MIB = 1 << 20
HOUR = 3600.0
BASE = 100 * MIB
RULES = DetectorRules(leak_warmup_seconds=0)
Curve = Callable[[float], float]


class Process:
    """Feeds a detector with curves in MiB; it holds no garbage, so a trim gives nothing back."""

    def __init__(self, rules: DetectorRules = RULES) -> None:
        self.detector = Detector(rules)
        self.now = 0.0
        self.suspected: list[Finding] = []
        self.proven: list[Finding] = []
        self._waiting: Finding | None = None

    def run(self, seconds: float, grown: Curve, explained: Curve = lambda _: 0.0) -> list[Finding]:
        """Let time pass; the findings proven in it."""
        ends, count = self.now + seconds, len(self.proven)
        while self.now < ends:
            self.now += self.detector.rules.sample_seconds
            why = int(explained(self.now) * MIB)
            resident = BASE + int(grown(self.now) * MIB) + why
            if self._waiting is not None:
                if self.detector.confirm(self.now, resident, why, self._waiting):
                    self.proven.append(self._waiting)
                self._waiting = None
                continue
            self._waiting = self.detector.tick(self.now, resident, why)
            if self._waiting is not None:
                self.suspected.append(self._waiting)
        return self.proven[count:]


def leak(mib_per_hour: float, since: float = 0.0) -> Curve:
    return lambda now: mib_per_hour * max(0.0, now - since) / HOUR


def flat(_: float) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("rate", "tier"), [(1200, Tier.RULE), (300, Tier.FAST), (50, Tier.SLOW), (10, Tier.SLOW)]
)
def test_each_rate_of_leak_is_proven_by_the_shortest_window_that_sees_it(rate: float, tier: Tier) -> None:
    process = Process()
    first = process.run(3 * HOUR, leak(rate))[0]
    assert first.tier is tier
    assert first.slope_bytes_per_hour == pytest.approx(rate * MIB, rel=0.05)
    assert first.growth_bytes == pytest.approx(rate * MIB * first.window_seconds / HOUR, rel=0.05)


def test_a_slow_leak_is_reported_once_a_day_has_gone_by_and_never_proven() -> None:
    process = Process()
    process.run(24.1 * HOUR, leak(2))
    assert [finding.tier for finding in process.suspected] == [Tier.DAILY]
    assert process.proven == []
    assert not process.detector.is_suspicious


def test_nothing_is_found_in_the_warm_up_nor_because_of_it() -> None:
    process = Process(replace(RULES, leak_warmup_seconds=1800))
    process.run(1795, leak(2000))
    warm = [process.detector.is_warm]
    process.run(3 * HOUR, lambda _: 2000 * 1800 / HOUR)
    assert [*warm, process.detector.is_warm] == [False, True]
    assert process.suspected == []


def test_a_step_that_stays_is_no_leak() -> None:
    process = Process()
    process.run(5 * HOUR, lambda now: 500.0 if now > 2.5 * HOUR else 0.0)
    assert process.suspected == []


def test_growth_that_is_explained_is_no_leak() -> None:
    process = Process()
    process.run(3 * HOUR, flat, explained=leak(1200))
    assert process.suspected == []


def test_bytes_that_were_explained_and_stay_resident_are_no_growth() -> None:
    process = Process()

    def explained(now: float) -> float:
        return max(0.0, 100 - 20 * now / HOUR)

    process.run(5 * HOUR, lambda now: 100 - explained(now), explained)
    assert process.proven == []


def test_a_leak_that_has_stopped_is_not_proven() -> None:
    process = Process()
    process.run(15.6 * 60, leak(300))
    suspicious = [process.detector.is_suspicious]
    stopped = process.now
    process.run(HOUR, lambda now: leak(300)(min(now, stopped)))
    assert process.proven == []
    assert [*suspicious, process.detector.is_suspicious] == [True, False]


def test_what_a_trim_gives_back_each_time_is_no_leak() -> None:
    detector, given_back, proven = Detector(RULES), 0, []
    for number in range(int(HOUR / 5)):
        now = 5.0 * number
        resident = BASE + int(300 * MIB * now / HOUR) - given_back
        finding = detector.tick(now, resident, 0)
        if finding is not None:
            given_back += resident - BASE
            proven.append(detector.confirm(now, BASE, 0, finding))
    assert len(proven) >= 3
    assert not any(proven)


def test_an_examination_waits_for_requests_in_flight_to_end() -> None:
    process = Process()
    while not process.suspected:
        process.run(5, leak(300))
    due = process.now + process.suspected[0].window_seconds / 10

    def in_flight(now: float) -> float:
        return 200.0 if due - 5 <= now < due + 30 else 0.0

    process.run(due + 25 - process.now, leak(300), in_flight)
    assert len(process.suspected) == 1
    process.run(15, leak(300), in_flight)
    assert len(process.suspected) == 2


@pytest.mark.parametrize("jump", [-600.0, -5.0, 3 * HOUR])
def test_a_clock_that_jumps_does_not_make_a_leak_of_a_difference(jump: float) -> None:
    detector = Detector(RULES)
    for number in range(720):
        assert detector.tick(5.0 * number, BASE, 0) is None
    after = 3595 + jump
    for number in range(1, 720):
        assert detector.tick(after + 5.0 * number, 10 * BASE, 0) is None
    assert abs(detector.growth_bytes) < MIB


def test_short_pauses_of_the_sampler_do_not_hide_a_slow_leak() -> None:
    detector, finding = Detector(RULES), None
    for number in range(int(2.2 * HOUR / 5)):
        now = 5.0 * number
        if now % HOUR < 150:
            continue
        finding = finding or detector.tick(now, BASE + int(10 * MIB * now / HOUR), 0)
    assert finding is not None
    assert finding.tier is Tier.SLOW


def test_after_a_restart_growth_has_to_fill_a_window_again_without_a_warm_up() -> None:
    process = Process(replace(RULES, leak_warmup_seconds=600))
    process.run(1200, leak(1200))
    process.detector.restart()
    assert process.detector.is_warm
    assert process.detector.growth_bytes == 0
    assert process.run(240, leak(1200)) == []
    assert process.run(300, leak(1200))[0].tier is Tier.RULE


def test_figures_of_the_floor_growth_and_slope() -> None:
    process = Process()
    assert (process.detector.floor_bytes, process.detector.growth_bytes) == (0, 0)
    assert process.detector.slope_bytes_per_hour == 0
    process.run(HOUR, leak(36))
    assert process.detector.floor_bytes == pytest.approx(BASE + 36 * MIB, abs=MIB)
    assert process.detector.growth_bytes == pytest.approx(3 * MIB, rel=0.02)
    assert process.detector.slope_bytes_per_hour == pytest.approx(36 * MIB, rel=0.02)


def test_figures_of_growth_begin_anew_after_a_gap_in_the_readings() -> None:
    process = Process()
    process.run(HOUR, leak(36))
    detector = process.detector
    assert min(detector.growth_bytes, detector.slope_bytes_per_hour) > 0
    detector.tick(process.now + HOUR, 2 * BASE, 0)
    assert (detector.growth_bytes, detector.slope_bytes_per_hour) == (0, 0)


def test_with_a_short_window_a_leak_is_proven_within_half_a_minute() -> None:
    rules = DetectorRules(
        leak_window_seconds=10, leak_growth_bytes=4 * MIB, leak_warmup_seconds=0, sample_seconds=0.2
    )
    process = Process(rules)
    assert process.run(30, leak(3600))[0].tier is Tier.RULE


def test_thresholds_change_at_once_and_a_new_window_length_starts_anew() -> None:
    process = Process()
    process.run(1200, leak(100))
    assert process.suspected == []
    process.detector.rules = replace(RULES, leak_growth_bytes=10 * MIB)
    assert process.detector.growth_bytes > 0
    assert process.run(1200, leak(100)) != []
    process.detector.rules = replace(RULES, leak_window_seconds=600)
    assert process.detector.growth_bytes == 0
