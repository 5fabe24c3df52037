"""A real gate that leaks whatever is done about it stops, for its supervisor to start it again."""

import sys
from pathlib import Path

import pytest

from tests.support.gate import await_gate, start_command
from tests.support.leaking_gates import MIB, QUICK
from tests.support.worker_gates import all_end, family_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FOUND_SECONDS = 300.0
RESTART_EXIT_CODE = 75
STOPS = "the gate stops to be started again: acting on a leak did not help"


@pytest.mark.parametrize(
    ("module", "process", "processes"), [("leaky_gate", "gate", 1), ("leaky_worker", "worker-1", 3)]
)
def test_an_ineffective_guard_ends_the_whole_gate_gracefully_if_that_is_wanted(
    module: str, process: str, processes: int, tmp_path: Path
) -> None:
    settings = QUICK | {
        "leak_warmup_seconds": 0,
        "leak_window_seconds": 3,
        "leak_growth_bytes": 2 * MIB,
        "leak_cooldown_seconds": 1,
        "memory_sample_seconds": 0.1,
        "restart_when_ineffective": "true",
    }
    command = (sys.executable, "-m", f"tests.support.{module}", "payloads", str(4 * MIB))
    gate = start_command(command, tmp_path, settings)
    try:
        await_gate(gate)
        family = family_of(gate)
        assert len(family) == processes, "its store, and its workers if it has some"
        assert gate.process.wait(FOUND_SECONDS) == RESTART_EXIT_CODE, gate.log.read_text()[-3000:]
    finally:
        if gate.process.poll() is None:
            gate.kill()
    assert all_end(family)
    events = {str(event["event"]): event for event in gate.events()}
    assert events[STOPS]["process"] == process
    # Nobody was killed, and no worker that had ended was started again beside a gate that goes.
    assert events.keys().isdisjoint({"worker ended, starting it again", "worker did not stop in time"})
