"""A real gate that leaks whatever is done about it stops, for its supervisor to start it again."""

import sys
from pathlib import Path

import pytest

from tests.support.gate import await_gate, start_command
from tests.support.leaking_gates import MIB, QUICK

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FOUND_SECONDS = 300.0
RESTART_EXIT_CODE = 75


def test_an_ineffective_guard_ends_the_gate_gracefully_if_that_is_wanted(tmp_path: Path) -> None:
    settings = QUICK | {
        "leak_warmup_seconds": 0,
        "leak_window_seconds": 3,
        "leak_growth_bytes": 2 * MIB,
        "leak_cooldown_seconds": 1,
        "memory_sample_seconds": 0.1,
        "restart_when_ineffective": "true",
    }
    command = (sys.executable, "-m", "tests.support.leaky_gate", "payloads", str(4 * MIB))
    gate = start_command(command, tmp_path, settings)
    try:
        await_gate(gate)
        assert gate.process.wait(FOUND_SECONDS) == RESTART_EXIT_CODE, gate.log.read_text()[-3000:]
    finally:
        if gate.process.poll() is None:
            gate.kill()
    events = [event["event"] for event in gate.events()]
    assert "the gate stops to be started again: acting on a leak did not help" in events
