"""What a report says of a period: days, gaps, clocks, restarts, several gates, and the targets."""

from itertools import pairwise

import pytest

from app.errors import InvalidRequest
from app.models import MapName, Mode, Reason
from app.reports.recorder import GuardFigures
from app.reports.report_document import Outcome, ReportDocument, Target
from tests.support.recording_gates import HOUR, MB, MINUTE, Bench, Machine, busy_sample, sizes_of

NOW = "2026-11-23"


def _target(document: ReportDocument, name: str) -> Target:
    (found,) = (target for target in document.targets if target.name == name)
    return found


async def _grow(
    on: Bench, machine: Machine, minutes: int, mb_per_hour: float, gate: str = "host-a:8000"
) -> None:
    """A gate that starts now and grows evenly from 60 MB, with a spike every seventh minute."""
    recorder = on.recorder(machine, gate)
    pid, _ = machine.rss["gate"]
    for minute in range(1, minutes + 1):
        spike = 15 * MB if minute % 7 == 0 else 0
        machine.rss["gate"] = (pid, round(60 * MB + mb_per_hour * MB * minute / 60 + spike))
        await on.minutes(1, recorder)


async def test_a_day_begins_at_midnight_utc_and_ends_before_the_next(on_valkey: Bench) -> None:
    on_valkey.hands.go(11 * HOUR + 57 * MINUTE + 30)
    recorder = on_valkey.recorder(Machine())
    await on_valkey.minutes(5, recorder)
    before, after = await on_valkey.reports.daily(NOW), await on_valkey.reports.daily("2026-11-24")
    assert (before.gates[0].samples, after.gates[0].samples) == (2, 3)
    assert after.from_ms == before.to_ms == after.gates[0].first_ms - 30_000
    assert after.day == (await on_valkey.reports.daily(None)).day == "2026-11-24"
    assert (await on_valkey.reports.daily("2026-11-22")).gates == []


@pytest.mark.parametrize(
    "day", ["", "2026-11-24", "2026-02-30", "20261123", "2026-W48-1", "today", "٢٠٢٦-11-23"]
)
async def test_what_is_no_day_that_has_begun_is_refused_in_a_sentence(on_valkey: Bench, day: str) -> None:
    with pytest.raises(
        InvalidRequest, match=r"^day: .*(such as 2026-11-23|has not begun; today is 2026-11-23)"
    ):
        await on_valkey.reports.daily(day)


async def test_minutes_without_a_sample_are_counted_and_leave_a_gap(on_valkey: Bench) -> None:
    recorder = on_valkey.recorder(Machine())
    await on_valkey.minutes(10, recorder)
    on_valkey.hands.go(20 * MINUTE)
    await on_valkey.minutes(10, recorder)
    document = await on_valkey.reports.recent(1)
    assert (document.gates[0].samples, document.gates[0].missing_minutes) == (20, 20)
    moments = [at for at, *_ in document.processes[0].points]
    assert max(later - sooner for sooner, later in pairwise(moments)) == 21 * 60_000


@pytest.mark.parametrize(
    ("mb_per_hour", "growth", "plateau"),
    [
        (0.0, Outcome.PASS, Outcome.PASS),
        (2.0, Outcome.PASS, Outcome.PASS),
        (9.0, Outcome.PASS, Outcome.FAIL),
        (11.0, Outcome.FAIL, Outcome.FAIL),
        (300.0, Outcome.FAIL, Outcome.FAIL),
        (-20.0, Outcome.PASS, Outcome.PASS),
    ],
)
async def test_growth_is_measured_on_floors_and_judged(
    on_valkey: Bench, mb_per_hour: float, growth: Outcome, plateau: Outcome
) -> None:
    await _grow(on_valkey, Machine(), 150, mb_per_hour)
    document = await on_valkey.reports.recent(24)
    slope = next(p for p in document.processes if p.process == "gate").slope_mb_per_hour
    assert slope is not None
    assert slope.low - 0.01 <= mb_per_hour <= slope.high + 0.01
    assert slope.value == pytest.approx(mb_per_hour, abs=0.5)
    assert (_target(document, "rss_growth").status, _target(document, "plateau").status) == (growth, plateau)
    assert "host-a:8000" in _target(document, "rss_growth").sentence


async def test_noise_that_hides_the_slope_is_unknown_not_pass(on_valkey: Bench) -> None:
    machine = Machine()
    recorder = on_valkey.recorder(machine)
    for minute in range(65):
        machine.rss["gate"] = (100, 60 * MB + 40 * MB * (minute * 7919 % 13) // 13)
        await on_valkey.minutes(1, recorder)
    target = _target(await on_valkey.reports.recent(24), "rss_growth")
    assert target.status is Outcome.UNKNOWN
    assert "too wide to tell" in target.sentence


async def test_growth_during_warm_up_is_none(on_valkey: Bench) -> None:
    machine = Machine()
    recorder = on_valkey.recorder(machine)
    for minute in range(100):
        machine.rss["gate"] = (100, 50 * MB + min(minute, 29) * 3 * MB)
        await on_valkey.minutes(1, recorder)
    assert _target(await on_valkey.reports.recent(24), "rss_growth").status is Outcome.PASS


async def test_too_little_is_unknown_and_a_failure_is_one_at_once(on_valkey: Bench) -> None:
    assert {target.status for target in (await on_valkey.reports.recent(1)).targets} == {Outcome.UNKNOWN}
    machine = Machine()
    recorder = on_valkey.recorder(machine)
    await on_valkey.minutes(20, recorder)
    document = await on_valkey.reports.recent(1)
    assert {target.status for target in document.targets} == {Outcome.UNKNOWN}
    assert document.status is Outcome.UNKNOWN
    machine.runs = {Mode.NORMAL: 9, Mode.EMERGENCY: 1}
    await on_valkey.minutes(1, recorder)
    document = await on_valkey.reports.recent(1)
    assert _target(document, "emergency_runs").status is Outcome.FAIL
    assert document.status is Outcome.FAIL


async def test_all_targets_pass_after_two_quiet_hours(on_valkey: Bench) -> None:
    machine = Machine()
    recorder = on_valkey.recorder(machine)
    for minute in range(120):
        added = 60_000 * minute
        machine.sizes = dict.fromkeys(
            MapName, sizes_of(100, added + 100, expired=added, due=added, on_time=added * 99 // 100)
        )
        machine.runs = {Mode.NORMAL: 14 * minute, Mode.EMERGENCY: 0}
        await on_valkey.minutes(1, recorder)
    document = await on_valkey.reports.recent(2)
    assert {target.name: target.status for target in document.targets} == dict.fromkeys(
        ("rss_growth", "plateau", "cleanup_efficiency", "signatures_size", "leaks", "emergency_runs"),
        Outcome.PASS,
    )
    assert document.status is Outcome.PASS
    assert document.cleanup.efficiency_ratio == pytest.approx(0.99, abs=0.001)
    assert document.maps[MapName.SIGNATURES].added == 60_000 * 119


async def test_growth_is_never_computed_across_a_restart(on_valkey: Bench) -> None:
    await _grow(on_valkey, Machine(rss={"gate": (1, 0)}), 100, 0)
    machine = Machine(rss={"gate": (2, 160 * MB)})
    recorder = on_valkey.recorder(machine)
    await on_valkey.minutes(100, recorder)
    document = await on_valkey.reports.recent(24)
    [process] = document.processes
    assert [run.pid for run in process.runs] == [1, 2]
    assert [run.slope_mb_per_hour and round(run.slope_mb_per_hour.value, 6) for run in process.runs] == [0, 0]
    assert (process.first_bytes, process.last_bytes) == (60 * MB, 160 * MB)
    assert _target(document, "rss_growth").status is _target(document, "plateau").status is Outcome.PASS
    assert document.gates[0].restarts == 1
    assert [event.kind for event in document.events] == ["restart"]


async def test_a_store_process_that_was_started_again_warms_up_again(on_valkey: Bench) -> None:
    machine = Machine()
    recorder = on_valkey.recorder(machine)
    await on_valkey.minutes(100, recorder)
    for minute in range(70):
        machine.rss["store"] = (999, 5 * MB + min(minute, 29) * 2 * MB)
        await on_valkey.minutes(1, recorder)
    document = await on_valkey.reports.recent(24)
    assert [event.kind for event in document.events] == ["store_restart"]
    store = next(process for process in document.processes if process.process == "store")
    assert [run.slope_mb_per_hour is not None for run in store.runs] == [True, True]
    assert _target(document, "rss_growth").status is Outcome.PASS


async def test_a_worker_that_was_started_again_is_an_event_and_its_growth_is_judged_by_run(
    on_valkey: Bench,
) -> None:
    machine = Machine()
    machine.rss["worker-1"] = (102, 40 * MB)
    recorder = on_valkey.recorder(machine)
    await on_valkey.minutes(100, recorder)
    machine.rss["worker-1"] = (202, 70 * MB)
    await on_valkey.minutes(100, recorder)
    document = await on_valkey.reports.recent(24)
    assert [(event.kind, event.text) for event in document.events] == [
        ("worker_restart", "the worker-1 process was started again")
    ]
    worker = next(process for process in document.processes if process.process == "worker-1")
    assert [run.pid for run in worker.runs] == [102, 202]
    assert _target(document, "rss_growth").status is Outcome.PASS


async def test_a_gate_with_as_many_workers_as_there_may_be_is_reported(on_valkey: Bench) -> None:
    workers = {f"worker-{number}": (200 + number, 40 * MB) for number in range(1, 65)}
    machine = Machine(rss={"gate": (100, 60 * MB), **workers, "store": (101, 20 * MB)})
    machine.guard = GuardFigures("normal", "leak", dict.fromkeys(machine.rss, 1))
    await on_valkey.minutes(2, on_valkey.recorder(machine))
    document = await on_valkey.reports.recent(1)
    assert (document.unusable_samples, document.gates[0].samples) == (0, 2)
    assert {process.process for process in document.processes} == set(machine.rss)
    assert document.gates[0].leak_detections == dict.fromkeys(machine.rss, 1)


@pytest.mark.parametrize("jump", [-2 * HOUR, 2 * HOUR])
async def test_a_clock_that_is_set_does_not_bend_the_slope(on_valkey: Bench, jump: float) -> None:
    machine = Machine()
    on_valkey.hands.go(3 * HOUR)
    recorder = on_valkey.recorder(machine)
    for minute in range(200):
        if minute == 100:
            on_valkey.hands.wall_ms += round(jump * 1000)
        machine.rss["gate"] = (100, round(60 * MB + 6 * MB * minute / 60))
        await on_valkey.minutes(1, recorder)
    on_valkey.hands.wall_ms += round(max(0.0, -jump) * 1000)
    document = await on_valkey.reports.recent(8)
    gate = next(process for process in document.processes if process.process == "gate")
    assert gate.slope_mb_per_hour is not None
    assert gate.slope_mb_per_hour.value == pytest.approx(6, abs=0.01)
    assert document.gates[0].samples == 200
    assert [at for at, *_ in gate.points] == sorted(at for at, *_ in gate.points)


async def test_totals_from_before_the_period_do_not_count(on_valkey: Bench) -> None:
    machine = Machine()
    machine.runs = {Mode.NORMAL: 100, Mode.EMERGENCY: 9}
    machine.guard = GuardFigures("normal", "ok", {"gate": 4})
    machine.sizes = dict.fromkeys(MapName, sizes_of(0, 1000, expired=1000, due=1000, on_time=0))
    recorder = on_valkey.recorder(machine)
    await on_valkey.minutes(90, recorder)
    machine.runs = {Mode.NORMAL: 130, Mode.EMERGENCY: 10}
    machine.sizes = dict.fromkeys(MapName, sizes_of(0, 1010, expired=1010, due=1010, on_time=9))
    await on_valkey.minutes(30, recorder)
    document = await on_valkey.reports.recent(1)
    assert document.gates[0].cleanup_runs == {"normal": 30, "emergency": 1}
    assert document.gates[0].leak_detections == {}
    assert (document.cleanup.due, document.cleanup.on_time) == (30, 27)
    assert document.maps[MapName.TRANSACTIONS].removed[Reason.EXPIRED] == 10


@pytest.mark.parametrize(("state", "status"), [("suspect", Outcome.PASS), ("cooldown", Outcome.FAIL)])
async def test_a_leak_under_warning_fails_and_a_suspicion_does_not(
    on_valkey: Bench, state: str, status: Outcome
) -> None:
    machine = Machine()
    recorder = on_valkey.recorder(machine)
    machine.guard = GuardFigures("normal", state, {})
    await on_valkey.minutes(40, recorder)
    assert _target(await on_valkey.reports.recent(1), "leaks").status is status


async def test_signatures_above_their_warning_size_fail_with_both_figures(on_valkey: Bench) -> None:
    machine = Machine()
    recorder = on_valkey.recorder(machine)
    await on_valkey.minutes(40, recorder)
    machine.sizes = {**machine.sizes, MapName.SIGNATURES: sizes_of(800_001, 800_001)}
    await on_valkey.minutes(1, recorder)
    target = _target(await on_valkey.reports.recent(1), "signatures_size")
    assert (target.status, target.value, target.limit) == (Outcome.FAIL, 800_001, 800_000)
    assert "800,001" in target.sentence


async def test_late_removal_fails_the_efficiency(on_valkey: Bench) -> None:
    machine = Machine()
    recorder = on_valkey.recorder(machine)
    for minute in range(40):
        due = 100 * minute
        machine.sizes = dict.fromkeys(MapName, sizes_of(0, due, expired=due, due=due, on_time=due * 9 // 10))
        await on_valkey.minutes(1, recorder)
    target = _target(await on_valkey.reports.recent(1), "cleanup_efficiency")
    assert (target.status, target.value) == (Outcome.FAIL, 0.9)


async def test_a_gate_that_keeps_crashing_stays_within_bounds(on_valkey: Bench) -> None:
    for pid in range(220):
        recorder = on_valkey.recorder(Machine(rss={"gate": (pid, 60 * MB)}))
        await on_valkey.minutes(1, recorder)
    document = await on_valkey.reports.recent(24)
    [process] = document.processes
    assert (process.runs_total, len(process.runs), document.gates[0].restarts) == (220, 20, 219)
    assert len(document.events) == 200
    assert document.events[-1].at_ms == document.gates[0].last_ms, "the latest are shown"
    assert _target(document, "rss_growth").status is Outcome.UNKNOWN


async def test_a_plot_has_at_most_288_points_however_long_the_period(on_valkey: Bench) -> None:
    for first in range(1, 2881, 720):
        await on_valkey.stored.add("busy", [busy_sample(minute) for minute in range(first, first + 720)])
    on_valkey.hands.go(2880 * MINUTE)
    for hours in (24, 48):
        document = await on_valkey.reports.recent(hours)
        assert 287 <= len(document.processes[0].points) <= 288
        assert 287 <= len(document.maps[MapName.SIGNATURES].points) <= 288
