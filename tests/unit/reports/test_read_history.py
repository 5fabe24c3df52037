"""What is kept of every minute: bounded, by gate, and through an outage of the store."""

import msgspec
import pytest
from structlog.testing import capture_logs

from app.errors import StoreError
from app.models import MapName, Mode
from app.reports.recorder import GuardFigures
from app.settings.gate_name import gate_name
from app.settings.model import Settings
from app.store.history import MOST_GATES, MOST_SAMPLES, PAGE_SAMPLES
from tests.support.keys import keys_without_expiry
from tests.support.recording_gates import (
    MB,
    NOON_MS,
    Bench,
    Machine,
    bench,
    busy_sample,
    history_keys,
    sizes_of,
)
from tests.support.servers import StoreServer, valkey_server

pytestmark = pytest.mark.server

DAY_SECONDS = 24 * 3600
MOST_BYTES_A_GATE = 4 * MB


async def test_ten_days_leave_the_latest_eight_in_two_keys_of_a_few_megabytes(
    on_matrix: Bench, store: StoreServer
) -> None:
    for first in range(0, 14_400, PAGE_SAMPLES):
        batch = [busy_sample(minute) for minute in range(first, first + PAGE_SAMPLES)]
        assert await on_matrix.stored.add("busy", batch)
    keys = history_keys(store)
    assert len(keys) == 2
    with store.client() as client:
        (samples,) = [key for key in keys if key.endswith(":busy")]
        assert client.llen(samples) == MOST_SAMPLES
        assert client.memory_usage(samples, samples=0) < MOST_BYTES_A_GATE
        for key in keys:
            assert 8 * DAY_SECONDS - 60 < client.ttl(key) <= 8 * DAY_SECONDS
    on_matrix.hands.wall_ms = NOON_MS + 14_399 * 60_000
    assert (await on_matrix.stored.page("busy", 0))[-1] == busy_sample(14_399)
    document = await on_matrix.reports.recent(192)
    assert document.gates[0].samples == MOST_SAMPLES
    assert keys_without_expiry(store) == []


async def test_gates_that_share_a_store_keep_their_own_history_under_their_names(on_matrix: Bench) -> None:
    first = on_matrix.recorder(Machine(rss={"gate": (1, 50 * MB)}), "host-a:8000")
    second = on_matrix.recorder(Machine(rss={"gate": (1, 70 * MB)}), "host-b:8000")
    for _ in range(3):
        await on_matrix.minutes(1, first)
        await second.record()
    document = await on_matrix.reports.daily(None)
    assert [(gate.name, gate.samples) for gate in document.gates] == [("host-a:8000", 3), ("host-b:8000", 3)]
    assert {(p.gate, p.max_bytes) for p in document.processes} == {
        ("host-a:8000", 50 * MB),
        ("host-b:8000", 70 * MB),
    }


async def test_two_gates_that_go_by_one_name_lose_nothing(on_valkey: Bench) -> None:
    first = on_valkey.recorder(Machine(rss={"gate": (1, 50 * MB)}))
    on_valkey.hands.go(1)
    second = on_valkey.recorder(Machine(rss={"gate": (2, 70 * MB)}))
    for _ in range(40):
        await on_valkey.minutes(1, first)
        await second.record()
    document = await on_valkey.reports.daily(None)
    assert document.gates[0].samples == 80
    [process] = document.processes
    assert [(run.pid, run.growth_mb) for run in process.runs] == [(1, None), (2, None)]
    assert (process.min_bytes, process.max_bytes) == (50 * MB, 70 * MB)


async def test_a_gate_too_many_is_left_out_until_another_has_been_silent_for_an_hour(
    on_matrix: Bench, store: StoreServer
) -> None:
    for number in range(MOST_GATES):
        assert await on_matrix.stored.add(f"gate-{number}", [b"sample"])
    late = on_matrix.recorder(Machine(), "late")
    with capture_logs() as logs:
        await on_matrix.minutes(3, late)
    assert [entry["log_level"] for entry in logs] == ["warning"], "it is said once"
    assert "late" not in await on_matrix.stored.gates()
    register = history_keys(store)[0]
    with store.client() as client:
        client.zincrby(register, -3_700_000, "gate-7")
    await on_matrix.minutes(1, late)
    names = await on_matrix.stored.gates()
    assert ("late" in names, "gate-7" in names, len(names)) == (True, False, MOST_GATES)
    assert not any(key.endswith("gate-7") for key in history_keys(store))


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\xc1",
        b"\xff" * 40,
        msgspec.msgpack.encode({"taken_ms": 1}),
        msgspec.msgpack.encode(["now", 1, 2.0, [], None, None, 0, 0, {}, "normal", "ok"]),
        msgspec.msgpack.encode([NOON_MS, 1, float("nan"), [], None, None, 0, 0, {}, "normal", "ok"]),
        msgspec.msgpack.encode([NOON_MS, 1, 2.0, [["gate", 1, -5]], None, None, 0, 0, {}, "normal", "ok"]),
        msgspec.msgpack.encode([NOON_MS, 1, 2.0, [["gate", 1, 2**63]], None, None, 0, 0, {}, "normal", "ok"]),
        msgspec.msgpack.encode([NOON_MS, 1, 2.0, [], None, [[1]], 0, 0, {}, "normal", "ok"]),
        busy_sample(1)[:-5],
    ],
    ids=["empty", "no msgpack", "ones", "object", "text", "nan", "negative", "huge", "half a map", "cut off"],
)
async def test_what_is_no_sample_is_skipped_and_counted(on_valkey: Bench, broken: bytes) -> None:
    recorder = on_valkey.recorder(Machine())
    await on_valkey.minutes(2, recorder)
    assert await on_valkey.stored.add("host-a:8000", [broken])
    await on_valkey.minutes(2, recorder)
    document = await on_valkey.reports.daily(None)
    assert (document.unusable_samples, document.gates[0].samples) == (1, 4)


async def test_a_sample_of_a_newer_gate_is_read_as_far_as_it_is_known(on_valkey: Bench) -> None:
    newer = [*msgspec.msgpack.decode(busy_sample(1)), "something new"]
    on_valkey.hands.go(60)
    await on_valkey.stored.add("newer", [msgspec.msgpack.encode(newer)])
    document = await on_valkey.reports.daily(None)
    assert (document.unusable_samples, document.gates[0].samples) == (0, 1)


async def test_samples_wait_while_the_store_is_down_and_the_oldest_of_more_than_ten_go() -> None:
    with valkey_server(unix=True) as store:
        async with bench(Settings(store_url=store.url, store_deadline_seconds=0.2)) as on:
            recorder = on.recorder(Machine())
            store.kill()
            with capture_logs() as logs:
                for _ in range(12):
                    with pytest.raises(StoreError):
                        await on.minutes(1, recorder)
            assert [entry["event"] for entry in logs] == ["store down"], "no storm of errors"
            store.restart()
            await on.session.probe(on.maps.sizes)
            assert on.session.is_up
            await on.minutes(1, recorder)
            document = await on.reports.daily(None)
            assert (document.gates[0].samples, document.gates[0].missing_minutes) == (10, 0)
            assert document.gates[0].last_ms - document.gates[0].first_ms == 9 * 60_000
            assert document.maps[MapName.SIGNATURES].points, "the maps of the last sample are known"
            assert len(document.maps[MapName.SIGNATURES].points) == 1, (
                "and those of the outage are not made up"
            )


async def test_a_sample_that_was_stored_although_no_answer_came_counts_once(on_valkey: Bench) -> None:
    on_valkey.hands.go(600)
    again = [busy_sample(1), busy_sample(2)]
    for batch in (again, [*again, busy_sample(3)]):
        await on_valkey.stored.add("busy", batch)
    document = await on_valkey.reports.recent(1)
    assert (document.gates[0].samples, document.maps[MapName.SIGNATURES].added) == (3, 1_200_000)


async def test_a_sample_is_stored_once(on_valkey: Bench) -> None:
    await on_valkey.minutes(3, on_valkey.recorder(Machine()))
    assert len(await on_valkey.stored.page("host-a:8000", 0)) == 3


async def test_a_history_that_begins_in_the_middle_of_a_run_counts_from_there(on_valkey: Bench) -> None:
    machine = Machine()
    recorder = on_valkey.recorder(machine)
    on_valkey.hands.go(5 * 3600)
    for runs in (100, 103):
        machine.runs = {Mode.NORMAL: runs, Mode.EMERGENCY: runs}
        machine.guard = GuardFigures("soft", "ok", {"gate": runs})
        await on_valkey.minutes(1, recorder)
    document = await on_valkey.reports.recent(1)
    assert document.gates[0].cleanup_runs == {"normal": 3, "emergency": 3}
    assert document.gates[0].leak_detections == {"gate": 3}


async def test_a_sample_holds_peaks_between_the_minutes(on_valkey: Bench) -> None:
    machine = Machine()
    recorder = on_valkey.recorder(machine)
    await on_valkey.minutes(1, recorder)
    machine.sizes = {**machine.sizes, MapName.SIGNATURES: sizes_of(5000, 5000)}
    recorder.note_peaks()
    machine.sizes = {**machine.sizes, MapName.SIGNATURES: sizes_of(10, 5010)}
    await on_valkey.minutes(2, recorder)
    signatures = (await on_valkey.reports.recent(1)).maps[MapName.SIGNATURES]
    assert [most for _, _, most, _ in signatures.points] == [0, 5000, 10]


async def test_totals_of_guard_and_cleanup_are_those_of_the_period(on_valkey: Bench) -> None:
    machine = Machine()
    recorder = on_valkey.recorder(machine)
    machine.runs = {Mode.NORMAL: 5, Mode.EMERGENCY: 1}
    await on_valkey.minutes(1, recorder)
    machine.runs = {Mode.NORMAL: 7, Mode.EMERGENCY: 3}
    machine.guard = GuardFigures("hard", "leak", {"gate": 2, "store": 0})
    await on_valkey.minutes(1, recorder)
    document = await on_valkey.reports.daily(None)
    [gate] = document.gates
    assert gate.cleanup_runs == {"normal": 7, "emergency": 3}
    assert gate.leak_detections == {"gate": 2}
    assert gate.pressure_minutes == {"soft": 0, "hard": 1}
    assert [event.kind for event in document.events] == ["emergency", "emergency", "leak", "pressure"]


def test_a_gate_goes_by_its_host_and_port_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "bücher <b>" + "x" * 80)
    assert gate_name(Settings(gate_name="eu-1")) == "eu-1"
    assert gate_name(Settings(port=8123)) == "x" * 59 + ":8123"
    monkeypatch.setattr("socket.gethostname", lambda: "bücher <b>")
    assert gate_name(Settings(port=8123)) == "b-cher--b-:8123"
