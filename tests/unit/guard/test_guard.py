import math

import pytest
from structlog.testing import capture_logs

from app.guard.guard import FAILED_READINGS
from app.settings.model import Settings
from tests.support.guarded_machine import MIB, QUICK, Machine


async def warm(**changes: object) -> Machine:
    machine = Machine(**changes)  # type: ignore[arg-type]  # a test's own keywords
    assert machine.state() == "warmup"
    await machine.run(120)
    assert machine.state() == "ok"
    return machine


async def test_a_leak_of_the_gate_is_suspected_confirmed_acted_upon_and_examined() -> None:
    machine = await warm()
    machine.gate_rate = 2 * MIB
    states: list[str] = []
    while len(states) < 2:
        await machine.run(1)
        if machine.state() != "ok" and (not states or states[-1] != machine.state()):
            states.append(machine.state())
    assert states == ["suspect", "cooldown"]
    assert machine.done("trim") >= 3, (
        "what is left after one trim is compared with what is left after the next"
    )
    assert machine.done("shrink") == 1
    assert machine.done("emergency_cleanup") == 0, "the store did not grow"
    [(process, finding, released)] = machine.examined
    assert process == "gate"
    assert finding.growth_bytes >= 20 * MIB
    assert set(released) == {"gc", "trim", "shrink"}
    assert machine.counted("leak_detections_total", process="gate", tier=finding.tier) == 1


async def test_a_leak_of_the_store_is_answered_by_an_emergency_cleanup_that_is_measured() -> None:
    machine = await warm()
    machine.store_rate, machine.freed_by_cleanup = 2.0 * MIB, 5.0 * MIB
    await machine.run_until("cooldown", "store")
    assert machine.state("gate") == "ok"
    assert machine.done("emergency_cleanup") == 1
    assert machine.counted("memory_released_bytes_total", action="emergency_cleanup") == 5 * MIB
    assert machine.examined[0][2] == {"trim": 0, "emergency_cleanup": 5 * MIB}


async def test_growth_that_a_trim_gives_back_is_no_leak() -> None:
    machine = await warm()
    machine.gate_rate = 2.0 * MIB
    await machine.run_until("ok")
    while machine.state() == "ok":
        machine.freed_by_trim = machine.gate - 60 * MIB
        await machine.run(1)
    machine.gate_rate = 0
    await machine.run(200)
    assert machine.state() == "ok"
    assert machine.examined == []


async def test_three_actions_that_do_not_help_are_the_last_until_an_operator_resets() -> None:
    machine = await warm()
    machine.gate_rate = 2.0 * MIB
    with capture_logs() as logs:
        await machine.run_until("ineffective", most_seconds=3000)
    assert machine.done("shrink") == 3
    assert len(machine.examined) == 4, "the latched state is examined as well"
    changes = [(line["old"], line["new"]) for line in logs if line["event"] == "leak state"]
    once = [("ok", "suspect"), ("suspect", "leak"), ("leak", "cooldown"), ("cooldown", "ok")]
    assert changes == once * 3 + [("ok", "suspect"), ("suspect", "ineffective")]
    await machine.run(2000)
    assert machine.done("shrink") == 3
    assert machine.state() == "ineffective"
    machine.guard.reset()
    assert machine.state() == "ok"
    await machine.run_until("cooldown")
    assert machine.done("shrink") == 4


@pytest.mark.parametrize(("name", "is_ours"), [("gate", True), ("store", True), ("store", False)])
@pytest.mark.parametrize("wanted", [True, False])
async def test_a_restart_is_asked_for_once_if_it_is_wanted_and_would_end_what_leaks(
    name: str, is_ours: bool, wanted: bool
) -> None:
    settings = Settings(**QUICK, restart_when_ineffective=wanted)  # type: ignore[arg-type]  # numbers
    machine = await warm(settings=settings, is_store_ours=is_ours)
    setattr(machine, f"{name}_rate", 2.0 * MIB)
    await machine.run_until("ineffective", name, most_seconds=3000)
    await machine.run(500)
    assert machine.restarts == ([name] if wanted and is_ours else [])


async def test_the_cooldown_doubles_while_the_growth_goes_on() -> None:
    machine = await warm()
    machine.gate_rate = 2.0 * MIB
    await machine.run_until("ineffective", most_seconds=3000)
    at = [when for when, action in machine.actions if action == "shrink"]
    assert at[1] - at[0] >= 100
    assert at[2] - at[1] >= 200


async def test_an_hour_without_growth_is_forgiven() -> None:
    machine = await warm()
    machine.gate_rate = 2.0 * MIB
    await machine.run_until("cooldown")
    machine.gate_rate = 0
    await machine.run_until("ok")
    assert machine.guard.watches["gate"].cooldown.actions_in_a_row == 1
    await machine.run(3700)
    assert machine.guard.watches["gate"].cooldown.actions_in_a_row == 0


async def test_bytes_in_flight_are_no_growth() -> None:
    machine = await warm()
    for _ in range(200):
        machine.gate += MIB
        machine.in_flight += MIB
        await machine.run(1)
    assert machine.state() == "ok"


async def test_soft_pressure_cleans_up_each_interval_and_hard_pressure_refuses_until_memory_is_free() -> None:
    machine = await warm(limit=100 * MIB)
    assert machine.level() == "soft"
    soft = machine.done("emergency_cleanup")
    assert 4 <= soft <= 6, "entered once, then every 30 of 120 seconds"
    machine.store = 31.0 * MIB
    await machine.run(1)
    assert machine.level() == "hard"
    assert machine.refuses()
    assert machine.done("shed") == 0, "first what is past the emergency retention"
    machine.freed_by_shedding = 4.0 * MIB
    await machine.run(4)
    assert machine.done("shed") == 3
    assert machine.level() == "soft"
    assert not machine.refuses()
    machine.store = 1.0 * MIB
    await machine.run(1)
    assert machine.level() == "normal"


async def test_nothing_is_shed_where_that_would_not_end_the_pressure() -> None:
    machine = await warm(limit=100 * MIB)
    machine.gate = 95.0 * MIB
    await machine.run(10)
    assert machine.level() == "hard"
    assert machine.done("shed") == 0


async def test_without_a_limit_there_is_no_pressure() -> None:
    machine = await warm(store=1e15)
    assert machine.level() == "normal"
    assert machine.done("emergency_cleanup") == 0
    assert machine.guard.headroom.room_bytes is None


async def test_the_room_below_the_limit_is_known_at_every_look() -> None:
    machine = await warm(limit=100 * MIB)
    assert machine.guard.headroom.room_bytes == 100 * MIB - machine.gate - machine.store
    machine.gate += 500 * MIB
    await machine.run(1)
    assert machine.guard.headroom.room_bytes == 0


async def test_each_change_of_level_is_one_log_line() -> None:
    machine = await warm(limit=200 * MIB)
    with capture_logs() as logs:
        machine.store = 130.0 * MIB
        await machine.run(3)
        machine.store = 10.0 * MIB
        await machine.run(3)
    lines = [(line["old"], line["new"]) for line in logs if line["event"] == "memory pressure"]
    assert lines == [("normal", "hard"), ("hard", "normal")]


@pytest.mark.parametrize("nonsense", [-1.0, math.nan, math.inf, 1e300])
async def test_absurd_readings_are_discarded_counted_and_never_stop_traffic(nonsense: float) -> None:
    machine = await warm(limit=100 * MIB)
    machine.store = 40.0 * MIB
    await machine.run(1)
    assert machine.refuses()
    machine.sensor = lambda _: nonsense
    await machine.run(FAILED_READINGS - 1)
    assert machine.guard.blind_spots == []
    await machine.run(1)
    assert machine.guard.blind_spots == ["gate", "usage"]
    assert not machine.refuses(), "blind, it must not refuse"
    reasons = ("negative", "huge", "not_a_number")
    counted = sum(machine.counted("memory_samples_discarded_total", reason=reason) for reason in reasons)
    assert counted == 2 * FAILED_READINGS
    machine.sensor = lambda value: value
    await machine.run(1)
    assert machine.guard.blind_spots == []
    assert machine.refuses()


async def test_a_sensor_that_raises_blinds_only_what_depends_on_it() -> None:
    machine = await warm()

    def broken(_: float) -> float:
        raise PermissionError("hidepid")

    machine.sensor = broken
    await machine.run(10)
    assert machine.guard.blind_spots == ["gate", "usage"]
    assert machine.counted("memory_samples_discarded_total", reason="unreadable") == 20


async def test_a_store_that_is_down_does_not_stop_the_guard() -> None:
    machine = await warm(limit=100 * MIB, is_store_down=True)
    assert machine.level() == "soft"
    machine.gate = 10.0 * MIB
    await machine.run(1)
    assert machine.level() == "normal"


async def test_settings_that_change_apply_at_the_next_tick() -> None:
    machine = await warm()
    machine.gate_rate = 0.1 * MIB
    await machine.run(80)
    assert machine.state() == "ok"
    machine.settings = Settings(**(QUICK | {"leak_growth_bytes": 4 * MIB}))  # type: ignore[arg-type]  # numbers
    assert await machine.run_until("suspect") < 90
    machine.settings = Settings(**QUICK, memory_soft_ratio=0.7)  # type: ignore[arg-type]  # numbers
    machine.limit = round((machine.gate + machine.store) / 0.72)
    await machine.run(1)
    assert machine.level() == "soft"


async def test_a_worker_that_came_up_again_since_a_reading_is_not_judged_by_that_of_the_one_before() -> None:
    machine = Machine(workers={"worker-1": (9, 10.0 * MIB)})
    machine.guard.watch_only(machine.workers)
    await machine.run(1)
    assert machine.floor("worker-1") == 10 * MIB
    reading = machine.guard.read_memory()
    machine.now += 1
    machine.guard.watch_only([])
    machine.workers = {"worker-1": (10, 60.0 * MIB)}
    machine.guard.watch_only(machine.workers)
    await machine.guard.tick(reading)
    assert machine.floor("worker-1") == 0, "there is no reading of the new one yet"
    await machine.run(1)
    assert machine.floor("worker-1") == 60 * MIB
