"""What gate and workers free of their own while memory is near its limit."""

from tests.support.guarded_machine import MIB
from tests.unit.guard.test_guard import warm


async def test_pressure_of_a_gate_on_an_external_store_never_touches_the_store() -> None:
    machine = await warm(limit=100 * MIB, is_store_ours=False, store=500.0 * MIB)
    machine.gate = 95.0 * MIB
    await machine.run(60)
    assert machine.level() == "hard"
    assert machine.done("emergency_cleanup") == machine.done("shed") == machine.done("trim_store") == 0
    assert machine.done("trim") >= 60, "its own relief is repeated"
    assert 5 <= machine.done("shrink") <= 6, "idle connections are closed, but not each second"


async def test_relief_is_repeated_until_what_becomes_free_later_is_given_back() -> None:
    """The heap can be trimmed only once the storm is over, long after the level was new."""
    machine = await warm(limit=100 * MIB, is_store_ours=False)
    machine.gate = 95.0 * MIB
    await machine.run(30)
    assert machine.refuses()
    machine.freed_by_trim = 35.0 * MIB
    await machine.run(2)
    assert machine.level() == "normal"
    assert not machine.refuses()
