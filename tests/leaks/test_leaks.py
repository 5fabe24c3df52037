"""Real leaks in real gates under real load: each is found, and called what it is."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.leaking_gates import MIB, Detection, Patient, foreign_keys, leaking, under_load
from tests.support.leaks import LEAKS

# On a busy machine the gates alone take most of a minute to start.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CAUSES = {
    "objects": "python_objects",
    "payloads": "python_objects",
    "library": "c_heap",
    "connections": "connections",
    "tasks": "tasks",
    "labels": "metric_labels",
}


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Patient]]:
    """One for each leak, one whose store leaks, and a healthy one; all at once, each takes half a minute."""
    folder = tmp_path_factory.mktemp("leaks")
    ward: dict[str, Patient] = {}
    try:
        # One after another, since starting is what takes a processor.
        for kind in LEAKS:
            ward[kind] = leaking(folder, kind)
        for name in ("store", "healthy"):
            ward[name] = Patient(folder / name)
        with ExitStack() as stack:
            stack.enter_context(under_load(list(ward.values())))
            stack.enter_context(foreign_keys(ward["store"]))
            yield ward
    finally:
        for patient in ward.values():
            if patient.is_alive:
                patient.gate.kill()


def assert_adds_up(found: Detection) -> None:
    assert found["growth_bytes"] >= 4 * MIB
    assert sum(part["bytes"] for part in found["parts"]) == found["growth_bytes"]


@pytest.mark.parametrize("kind", LEAKS)
def test_a_leak_of_the_gate_is_found_and_called_by_its_name(patients: dict[str, Patient], kind: str) -> None:
    patient = patients[kind]
    found = patient.await_detection()
    assert (found["process"], found["cause"]) == ("gate", CAUSES[kind]), found
    assert_adds_up(found)
    assert set(found["released_bytes"]) == {"gc", "trim", "shrink"}, "what came back, by action"
    assert found["summary"].startswith("The gate grew "), found["summary"]
    assert f'leak_detections_total{{process="gate",tier="{found["tier"]}"}} 1.0' in patient.metrics
    [written] = patient.files()
    assert written == found


# By itself 2.6 MiB come back, on a busy machine too. Within the whole suite it was 20 to 40 KiB in each of
# two runs, which is not understood yet.
@pytest.mark.long
def test_closing_idle_connections_gives_back_what_they_held(patients: dict[str, Patient]) -> None:
    found = patients["connections"].await_detection()
    assert found["released_bytes"]["shrink"] > MIB / 2
    assert "gave back" in found["summary"]


def test_the_line_that_allocates_what_leaks_is_named(patients: dict[str, Patient]) -> None:
    found = patients["objects"].await_detection()
    assert found["top_allocations"][0]["place"].startswith("tests/support/leaks.py:")
    assert found["top_types"][0]["type"] in {"dict", "list"}
    assert found["top_types"][0]["count"] > 1000


def test_keys_without_expiry_in_the_store_are_told_apart_from_a_leak_of_the_gate(
    patients: dict[str, Patient],
) -> None:
    found = patients["store"].await_detection()
    assert (found["process"], found["cause"]) == ("store", "store_foreign_keys"), found
    assert_adds_up(found)
    [keys] = [part for part in found["parts"] if part["part"] == "foreign_keys"]
    assert keys["bytes"] > found["growth_bytes"] / 2
    assert keys["count"] > 1000
    assert "emergency_cleanup" in found["released_bytes"]


def test_a_gate_that_does_not_leak_is_left_alone_under_the_same_load(patients: dict[str, Patient]) -> None:
    assert patients["healthy"].detections() == []
    assert patients["healthy"].files() == []
