"""A real leak in one of two workers: found there, examined there, and called what it is."""

from pathlib import Path

import pytest

from tests.support.leaking_gates import MIB, leaking, under_load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_leak_in_a_worker_is_found_and_the_line_that_allocates_is_named(tmp_path: Path) -> None:
    patient = leaking(tmp_path, "objects", "leaky_worker")
    try:
        with under_load([patient]):
            found = patient.await_detection()
    finally:
        if patient.is_alive:
            patient.gate.kill()
    assert (found["process"], found["cause"]) == ("worker-1", "python_objects"), found
    assert found["growth_bytes"] >= 3 * MIB
    assert sum(part["bytes"] for part in found["parts"]) == found["growth_bytes"]
    assert found["top_allocations"][0]["place"].startswith("tests/support/leaks.py:")
    assert found["top_types"][0]["type"] in {"dict", "list"}
    assert set(found["released_bytes"]) == {"gc", "trim", "shrink"}
    assert found["summary"].startswith("Worker-1 grew "), found["summary"]
    assert patient.files() == [found]
