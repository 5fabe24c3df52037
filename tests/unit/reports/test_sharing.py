"""What several gates see of one store: its maps, its ledger, its memory."""

import pytest

from app.models import MapName, StoreFigures
from tests.support.recording_gates import MB, MINUTE, Bench, Machine, sizes_of


def _store(rss_bytes: int) -> StoreFigures:
    return StoreFigures(rss_bytes // 2, rss_bytes, None, 0, frozenset({"noeviction"}))


async def test_a_new_ledger_counts_from_its_beginning(on_valkey: Bench) -> None:
    machine = Machine()
    recorder = on_valkey.recorder(machine)
    for added in (1000, 2000, 300, 400):
        machine.sizes = dict.fromkeys(MapName, sizes_of(0, added, expired=added, due=added, on_time=added))
        await on_valkey.minutes(1, recorder)
    document = await on_valkey.reports.recent(1)
    assert document.maps[MapName.SIGNATURES].added == 1000 + 300 + 100
    assert document.cleanup.efficiency_ratio == 1


async def test_what_two_gates_of_a_store_both_see_counts_once(on_valkey: Bench) -> None:
    first, second = (Machine(rss={"gate": (pid, 60 * MB)}) for pid in (1, 2))
    recorders = [on_valkey.recorder(first, "host-a:8000"), on_valkey.recorder(second, "host-b:8000")]
    for minute in range(1, 61):
        for number, machine in enumerate((first, second)):
            added = 100 * minute + number
            machine.sizes = dict.fromkeys(
                MapName, sizes_of(0, added, expired=added, due=added, on_time=added)
            )
            machine.shared_store = _store(80 * MB + minute * MB)
        on_valkey.hands.go(MINUTE)
        if minute <= 40:
            await recorders[0].record()
        if minute >= 20:
            await recorders[1].record()
    document = await on_valkey.reports.recent(2)
    added = document.maps[MapName.SIGNATURES].added
    assert 5800 <= added <= 6000
    assert [(p.gate, p.process) for p in document.processes] == [
        ("host-a:8000", "gate"),
        ("host-b:8000", "gate"),
        (None, "store"),
    ]
    store = document.processes[-1]
    assert (store.first_bytes, store.last_bytes, len(store.points)) == (81 * MB, 140 * MB, 60)
    assert store.slope_mb_per_hour is not None
    assert store.slope_mb_per_hour.value == pytest.approx(60, abs=0.1)
    assert (
        "the shared store"
        in next(one for one in document.targets if one.name == "rss_growth").sentence.casefold()
    )


async def test_growth_of_a_shared_store_is_not_computed_across_its_restart(on_valkey: Bench) -> None:
    machine = Machine(rss={"gate": (1, 60 * MB)})
    recorder = on_valkey.recorder(machine)
    for minute in range(200):
        added = 1000 * (minute % 100)
        machine.sizes = dict.fromkeys(MapName, sizes_of(0, added, expired=added))
        machine.shared_store = _store(30 * MB if minute < 100 else 130 * MB)
        await on_valkey.minutes(1, recorder)
    document = await on_valkey.reports.recent(24)
    store = next(process for process in document.processes if process.process == "store")
    assert [run.growth_mb for run in store.runs] == [0, 0]
    assert store.runs[1].slope_hours == pytest.approx(69 / 60, abs=0.01), "it warms up again"
