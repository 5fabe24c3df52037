"""The guard watches a worker as it watches the gate."""

from dataclasses import replace

from tests.support.guarded_machine import MIB, Machine


async def test_a_worker_that_leaks_is_made_to_give_back_and_one_that_ended_is_watched_no_more() -> None:
    machine, asked = Machine(), []
    held = 60.0 * MIB

    async def in_worker(worker: str, action: str) -> None:
        asked.append((worker, str(action)))

    resident = machine.guard.sensors.resident
    machine.guard.sensors = replace(
        machine.guard.sensors, resident=lambda: {**resident(), "worker-1": (9, held)}
    )
    machine.guard.actions.in_worker = in_worker
    machine.guard.watch_only(["worker-1"])
    await machine.run(120)
    assert (machine.guard.watches["worker-1"].state, asked) == ("ok", [])
    for _ in range(80):
        held += 2 * MIB
        await machine.run(1)
    assert asked[:2] == [("worker-1", "gc"), ("worker-1", "trim")]
    assert ("worker-1", "shrink") in asked
    assert {name for name, _, _ in machine.examined} == {"worker-1"}
    machine.guard.watch_only([])
    assert set(machine.guard.watches) == {"gate", "store"}
    machine.guard.watch_only(["worker-1"])
    await machine.run(1)
    assert machine.guard.watches["worker-1"].state == "warmup"
