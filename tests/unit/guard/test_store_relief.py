"""Pressure by place: what is done to an embedded store, and to a store that others share."""

import pytest
from structlog.testing import capture_logs

from tests.support.api_calls import events
from tests.support.guarded_machine import MIB, Machine
from tests.unit.guard.test_guard import warm

CLEANUP_INTERVAL_SECONDS = 30


async def test_an_embedded_store_is_not_cleaned_for_what_the_gates_own_relief_ended() -> None:
    machine = await warm(limit=100 * MIB, gate=50.0 * MIB)
    machine.gate, machine.freed_by_trim = 75.0 * MIB, 40.0 * MIB
    await machine.run(3)
    assert machine.level() == "normal"
    assert machine.done("emergency_cleanup") == 0


async def test_an_embedded_store_is_not_cleaned_where_the_gate_alone_is_too_much() -> None:
    machine = await warm(limit=100 * MIB, gate=40.0 * MIB)
    machine.gate = 95.0 * MIB
    await machine.run(20)
    assert machine.level() == "hard"
    assert machine.done("emergency_cleanup") == machine.done("shed") == 0


async def test_a_store_near_its_own_limit_is_cleaned_once_an_interval_until_it_has_room() -> None:
    machine = await warm(is_store_ours=False, store=85.0 * MIB, store_limit=100 * MIB, maps=70 * MIB)
    assert machine.done("emergency_cleanup") == 0, "85 % is not near"
    machine.store = 95.0 * MIB
    await machine.run(3 * CLEANUP_INTERVAL_SECONDS)
    assert machine.done("emergency_cleanup") == 3
    machine.store = 75.0 * MIB
    await machine.run(2 * CLEANUP_INTERVAL_SECONDS)
    assert machine.done("emergency_cleanup") == 3
    assert machine.done("shed") == 0
    assert machine.level() == "normal", "a full store is no pressure on the gate"


@pytest.mark.parametrize("is_store_ours", [False, True])
@pytest.mark.parametrize(("maps", "cleanups"), [(20, 0), (21, 1)])
async def test_a_store_near_its_own_limit_is_cleaned_only_where_the_maps_hold_more_than_a_fifth(
    maps: int, cleanups: int, is_store_ours: bool
) -> None:
    machine = await warm(is_store_ours=is_store_ours, store_limit=100 * MIB, maps=maps * MIB)
    machine.store = 95.0 * MIB
    with capture_logs() as logs:
        await machine.run(CLEANUP_INTERVAL_SECONDS)
    assert machine.done("emergency_cleanup") == cleanups
    [told] = events(logs, "store near its own limit")
    assert told["maps_bytes"] == maps * MIB
    assert ("a cleanup does not help" in told["advice"]) is not bool(cleanups)


async def test_a_store_near_its_own_limit_is_left_to_the_gate_that_has_the_lock() -> None:
    machine = await warm(is_store_ours=False, store_limit=100 * MIB, maps=70 * MIB)
    machine.locks = [False, False, True]
    machine.store = 95.0 * MIB
    await machine.run(2 * CLEANUP_INTERVAL_SECONDS)
    assert machine.done("emergency_cleanup") == 0
    await machine.run(CLEANUP_INTERVAL_SECONDS)
    assert machine.done("emergency_cleanup") == 1


async def test_a_leak_of_an_external_store_is_found_and_examined_and_nothing_is_cut() -> None:
    machine = await warm(is_store_ours=False)
    machine.store_rate = 2.0 * MIB
    await machine.run_until("cooldown", "store")
    assert [process for process, _, _ in machine.examined] == ["store"]
    assert machine.done("emergency_cleanup") == 0
    await machine.run_until("ineffective", "store", most_seconds=3000)
    assert machine.done("emergency_cleanup") == 0


async def test_a_leak_of_the_gate_leaves_any_store_alone() -> None:
    for is_store_ours in (True, False):
        machine: Machine = await warm(is_store_ours=is_store_ours)
        machine.gate_rate = 2.0 * MIB
        await machine.run_until("ineffective", most_seconds=3000)
        assert machine.done("emergency_cleanup") == machine.done("trim_store") == 0
