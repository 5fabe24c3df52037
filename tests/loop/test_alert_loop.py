"""The loop closes: Prometheus sees what is wrong, Alertmanager tells the gate, the gate cleans up."""

from collections.abc import Callable
from random import Random

import pytest

from app.settings.field_kinds import MIB
from tests.loop.conftest import GATE, TRANSACTIONS_LIMIT, Loop
from tests.support.processes import wait_until

pytestmark = pytest.mark.slow

UPTIME_SECONDS = 1800 / 120
PATIENCE_SECONDS = 40.0
PAYLOAD_BYTES = 40 * 1024
PAUSE_SECONDS = 0.1


def comes_true(done: Callable[[], bool]) -> bool:
    """Wait for it, without keeping those busy that are asked."""
    return wait_until(done, PATIENCE_SECONDS, PAUSE_SECONDS)


def post(loop: Loop, prefix: str, payloads: list[str]) -> None:
    """Post transactions, which all have to be accepted."""
    items = [{"signature": f"{prefix}-{at}", "payload": payload} for at, payload in enumerate(payloads)]
    with loop.gate.client() as client:
        answer = client.post("/transactions", json=items)
        assert answer.json()["accepted"] == len(items), answer.text


def plant_leak(loop: Loop, size: int) -> None:
    """Fill the store with keys that are not ours and never expire: what the maps hold would be no leak."""
    with loop.store.nodes()[0] as somebody:
        for number in range(size // MIB):
            somebody.set(f"foreign-{number}", bytes(MIB))


def is_firing(loop: Loop, name: str) -> bool:
    return any(alert["state"] == "firing" for alert in loop.prometheus.alerts(name))


def emergency_runs(loop: Loop) -> float:
    return loop.figure("cleanup_runs_total", trigger="alert", mode="emergency", result="success")


def assert_loop_closes(loop: Loop, name: str) -> None:
    """From the rule that fires to the gate recording that it is over."""
    runs = emergency_runs(loop)
    assert comes_true(lambda: is_firing(loop, name)), loop.prometheus.unhealthy()
    got_it = comes_true(lambda: ("firing", "cleanup") in loop.received(name))
    assert got_it, (loop.received(name), loop.alertmanager.log[-2000:])
    assert comes_true(lambda: emergency_runs(loop) > runs)

    def is_over() -> bool:
        return loop.received(name)[-1:] == [("resolved", "resolved")]

    assert comes_true(is_over), loop.received(name)
    assert not is_firing(loop, name)
    assert loop.alertmanager.alerts(name) == []


def test_a_map_near_its_limit_has_room_again_because_of_the_alert(loop: Loop) -> None:
    count = int(0.95 * TRANSACTIONS_LIMIT)
    post(loop, "fill", count * [""])
    assert_loop_closes(loop, "TidegateMapNearLimit")
    # Humans were told as well, of the beginning and of the end.
    assert comes_true(lambda: loop.humans.heard("TidegateMapNearLimit")[-1:] == ["resolved"])
    assert loop.humans.heard("TidegateMapNearLimit")[0] == "firing"
    assert loop.figure("map_removed_total", map="transactions", reason="emergency") == count
    assert loop.figure("map_entries", map="transactions") == 0
    # The alert's label named the map, so nothing else was cut.
    assert loop.figure("map_removed_total", map="observations", reason="emergency") == 0


def test_a_store_near_its_limit_has_room_again_because_of_the_alert(loop: Loop) -> None:
    chance, removed = Random(1), loop.figure("map_removed_total", map="transactions", reason="emergency")
    for part in range(4):
        post(loop, f"large-{part}", [chance.randbytes(PAYLOAD_BYTES).hex() for _ in range(30)])
    with loop.store.nodes()[0] as operator:
        limit = int(operator.info("memory")["used_memory"] / 0.95)
        operator.config_set("maxmemory", limit)
        # It is sent a minute before TidegateStoreNearLimit, which tells humans if the cleanup was not enough.
        assert_loop_closes(loop, "TidegateStoreCleanup")
        operator.config_set("maxmemory", 0)
    emergency = {"map": "transactions", "reason": "emergency"}
    assert comes_true(lambda: loop.figure("map_removed_total", **emergency) > removed)
    resolved = {"status": "resolved", "action": "resolved"}
    assert comes_true(lambda: loop.figure("alerts_received_total", **resolved) > 0)


def test_a_store_that_leaks_is_told_to_humans_and_no_cleanup_runs_that_cannot_help(loop: Loop) -> None:
    def is_long_up() -> bool:
        return (loop.prometheus.value("time() - tidegate_start_time_seconds") or 0) > UPTIME_SECONDS

    name, runs = "TidegateStoreLeakSuspected", emergency_runs(loop)
    assert comes_true(is_long_up)
    assert loop.figure("memory_growth_threshold_bytes") == GATE["leak_growth_bytes"]
    plant_leak(loop, 24 * MIB)
    assert comes_true(lambda: loop.humans.heard(name)[:1] == ["firing"]), loop.prometheus.unhealthy()
    assert comes_true(lambda: loop.humans.heard(name)[-1:] == ["resolved"])
    assert (loop.received(name), emergency_runs(loop)) == ([], runs)
    assert loop.prometheus.unhealthy() == []
