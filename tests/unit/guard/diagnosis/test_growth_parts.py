"""What the figures are taken to mean."""

from typing import Any

import pytest

from app.guard.diagnosis.diagnosis import Allocation, Cause, PartName, TypeGrowth
from app.guard.diagnosis.growth_parts import (
    GrowthParts,
    ProcessEvidence,
    explain_process_growth,
    explain_store_growth,
    relief,
    sentence,
)
from app.guard.diagnosis.object_counts import ObjectCounts
from app.guard.diagnosis.process_figures import ProcessFigures, StoreReading
from app.guard.diagnosis.tracing import NOT_TRACED, Traced
from app.process.heap import Heap

MIB = 1024 * 1024
GATE = ProcessFigures(0, 60 * MIB, 0, 10, 20, 40, Heap(20 * MIB, 4 * MIB), 200_000)
STORE = StoreReading(0, 30 * MIB, 25 * MIB, 20 * MIB, 100, 0, MIB)


def traced(python_share: float) -> Traced:
    return Traced(10, heap_bytes=MIB, large_python_bytes=round(python_share * MIB))


def grown(growth_mib: float, **changes: Any) -> ProcessFigures:
    resident = GATE.resident_bytes + round(growth_mib * MIB)
    return GATE._replace(at_seconds=300, resident_bytes=resident)._replace(**changes)


def explain(
    after: ProcessFigures, trace: Traced = NOT_TRACED, objects: ObjectCounts | None = None
) -> GrowthParts:
    explained = explain_process_growth(ProcessEvidence(GATE, after, {}, objects or {}, trace))
    growth = after.resident_bytes - GATE.resident_bytes
    assert sum(part.bytes for part in explained.parts) == explained.growth_bytes == growth
    return explained


def test_small_python_objects_are_seen_without_tracing() -> None:
    explained = explain(grown(24, python_blocks=200_000 + 280_000))
    assert explained.cause is Cause.PYTHON_OBJECTS
    assert explained.bytes_of(PartName.PYTHON_OBJECTS) == pytest.approx(21.4 * MIB, rel=0.01)


@pytest.mark.parametrize(
    ("share", "cause"), [(1.0, Cause.PYTHON_OBJECTS), (0.9, Cause.PYTHON_OBJECTS), (0.0, Cause.C_HEAP)]
)
def test_tracing_tells_whose_the_heap_is(share: float, cause: Cause) -> None:
    assert explain(grown(24, heap=Heap(44 * MIB, 4 * MIB)), traced(share)).cause is cause


def test_heap_that_was_not_traced_is_nobodys() -> None:
    explained = explain(grown(24, heap=Heap(44 * MIB, 4 * MIB)))
    assert explained.cause is Cause.UNKNOWN
    assert explained.bytes_of(PartName.UNEXPLAINED) == 24 * MIB


@pytest.mark.parametrize("with_payload_bytes", [0, 2000])
def test_what_drags_objects_along_is_named_before_them(with_payload_bytes: int) -> None:
    heap = Heap(20 * MIB + with_payload_bytes * 10_000, 4 * MIB)
    after = grown((768 + with_payload_bytes) * 10_000 / MIB, python_blocks=200_000 + 12 * 10_000, heap=heap)
    assert explain(after._replace(tasks=10_020), traced(1)).cause is Cause.TASKS
    assert explain(after, traced(1), {"_asyncio.Task": 10_000}).cause is Cause.TASKS, (
        "also those that are done"
    )
    series = {"prometheus_client.values.MutexValue": 10_000}
    assert explain(after, traced(1), series).cause is Cause.METRIC_LABELS


def test_connections_are_those_of_clients_and_any_other_open_file() -> None:
    for changes in ({"connections": 2010}, {"descriptors": 2040}):
        explained = explain(grown(24, **changes))
        assert explained.cause is Cause.CONNECTIONS
        assert explained.count_of(PartName.CONNECTIONS) == 2000


def test_a_few_more_connections_are_not_to_blame() -> None:
    assert explain(grown(24, connections=200, python_blocks=500_000)).cause is Cause.PYTHON_OBJECTS


def test_what_was_freed_but_is_kept_is_the_allocators() -> None:
    assert explain(grown(24, heap=Heap(20 * MIB, 30 * MIB))).cause is Cause.ALLOCATOR


def test_estimates_that_are_too_much_shrink_to_what_there_is() -> None:
    explained = explain(grown(4, connections=5010, tasks=5020))
    assert explained.bytes_of(PartName.UNEXPLAINED) == pytest.approx(0, abs=5)


@pytest.mark.parametrize("growth_mib", [0, -3])
def test_a_process_that_did_not_grow_has_no_cause(growth_mib: float) -> None:
    assert explain(grown(growth_mib)).cause is Cause.UNKNOWN


def test_a_system_that_tells_less_is_judged_by_the_rest() -> None:
    before = GATE._replace(heap=None, descriptors=None)
    after = before._replace(resident_bytes=84 * MIB, python_blocks=500_000)
    explained = explain_process_growth(ProcessEvidence(before, after, {}, {}, NOT_TRACED))
    assert explained.cause is Cause.PYTHON_OBJECTS


def explain_store_after(**changes: int) -> GrowthParts:
    explained = explain_store_growth(STORE, STORE._replace(at_seconds=300, **changes))
    assert sum(part.bytes for part in explained.parts) == explained.growth_bytes
    return explained


@pytest.mark.parametrize(
    ("cause", "changes"),
    [
        (Cause.STORE_FOREIGN_KEYS, {"used_bytes": 44 * MIB, "keys": 20_000, "keys_without_expiry": 19_900}),
        (Cause.STORE_FOREIGN_KEYS, {"used_bytes": 44 * MIB, "keys": 20_000}),
        (Cause.STORE_MAPS, {"used_bytes": 44 * MIB, "maps_bytes": 38 * MIB, "keys": 160}),
        (Cause.STORE_CLIENTS, {"used_bytes": 44 * MIB, "clients_bytes": 19 * MIB}),
        (Cause.STORE_FRAGMENTATION, {}),
        (Cause.UNKNOWN, {"used_bytes": 44 * MIB}),
    ],
)
def test_growth_of_the_store_is_put_down_to_what_grew(cause: Cause, changes: dict[str, int]) -> None:
    assert explain_store_after(resident_bytes=50 * MIB, **changes).cause is cause


def test_foreign_keys_hide_behind_maps_that_grow_by_more() -> None:
    explained = explain_store_after(
        resident_bytes=50 * MIB, used_bytes=45 * MIB, maps_bytes=33 * MIB, keys_without_expiry=5000, keys=5100
    )
    assert explained.cause is Cause.STORE_FOREIGN_KEYS
    assert explained.bytes_of(PartName.FOREIGN_KEYS) == 7 * MIB
    assert explained.count_of(PartName.FOREIGN_KEYS) == 5000


def test_the_sentence_says_who_by_how_much_what_and_where() -> None:
    explained = explain(grown(24, python_blocks=200_000 + 280_000))
    types = [TypeGrowth(type="tuple", count=212_000, bytes=17 * MIB)]
    places = [Allocation(place="app/decode/item.py:73", bytes=MIB, count=9000)]
    assert sentence("gate", 300, explained, types, places) == (
        "The gate grew 24.0 MiB in 5 min, 21.4 MiB of it in Python objects; most of all +212,000 `tuple`; "
        "most was allocated at app/decode/item.py:73."
    )
    assert relief({"gc": MIB, "trim": MIB // 2}) == "What the guard did gave back 1.5 MiB."


@pytest.mark.parametrize("cause", Cause)
def test_there_is_a_sentence_for_each_cause(cause: Cause) -> None:
    text = sentence("store", 75, explain(grown(24))._replace(cause=cause), [], [])
    assert text.startswith("The store grew 24.0 MiB in 75 s, ")
    assert "{" not in text
