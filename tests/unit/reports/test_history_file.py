"""The file that keeps the samples of a gate whose store ends with it."""

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.reports import history_file
from app.reports.history_file import HistoryFile
from app.settings.model import Settings
from app.store.history import KEPT_MS
from tests.support.gate import gate_process
from tests.support.processes import wait_until
from tests.support.recording_gates import MB, NOON_MS, Bench, Machine, busy_sample
from tests.support.servers import StoreServer

SAMPLES = [busy_sample(minute) for minute in range(1, 41)]


def _now(minutes: int = 41) -> int:
    return NOON_MS + minutes * 60_000


def test_what_was_added_is_read_by_the_next_gate(tmp_path: Path) -> None:
    file = tmp_path / "new" / "history.samples"
    for part in (SAMPLES[:20], SAMPLES[20:]):
        gate = HistoryFile(file)
        for sample in part:
            gate.add(sample)
    assert HistoryFile(file).read(_now()) == SAMPLES
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("left", [1, 3, 4, 5, 60])
def test_a_record_that_a_crash_cut_off_is_dropped_and_the_next_is_read(tmp_path: Path, left: int) -> None:
    file = tmp_path / "history.samples"
    gate = HistoryFile(file)
    gate.add(SAMPLES[0])
    whole = file.stat().st_size
    gate.add(SAMPLES[1])
    os.truncate(file, whole + left)
    after = HistoryFile(file)
    assert after.read(_now()) == SAMPLES[:1]
    after.add(SAMPLES[2])
    assert HistoryFile(file).read(_now()) == [SAMPLES[0], SAMPLES[2]]


def test_the_file_does_not_grow_beyond_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_file, "MOST_SAMPLES", 8)
    monkeypatch.setattr(history_file, "MOST_RECORDS", 10)
    file = tmp_path / "history.samples"
    gate, most = HistoryFile(file), 0
    for sample in SAMPLES:
        gate.add(sample)
        most = max(most, file.stat().st_size)
    assert most <= 10 * (max(map(len, SAMPLES)) + 4)
    assert gate.read(_now()) == SAMPLES[-8:]


def test_what_is_older_than_eight_days_is_left_out(tmp_path: Path) -> None:
    gate = HistoryFile(tmp_path / "history.samples")
    for sample in SAMPLES:
        gate.add(sample)
    assert gate.read(_now(30) + KEPT_MS) == SAMPLES[30:]


def test_a_file_that_cannot_be_used_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    gate = HistoryFile(tmp_path / "file" / "history.samples")
    with capture_logs() as logs:
        gate.add(SAMPLES[0])
        gate.add(SAMPLES[1])
        assert gate.read(_now()) == []
    assert [line["log_level"] for line in logs] == ["warning"]


def test_only_a_gate_with_an_embedded_store_has_a_file(tmp_path: Path) -> None:
    assert HistoryFile.of(Settings(history_dir=tmp_path)) is not None
    assert HistoryFile.of(Settings()) is None
    assert HistoryFile.of(Settings(history_dir=tmp_path, store_url="redis://127.0.0.1:6379")) is None


@pytest.mark.server
async def test_an_embedded_store_that_was_started_again_is_given_what_it_has_lost(
    on_valkey: Bench, valkey: StoreServer, tmp_path: Path
) -> None:
    machine = Machine()
    recorder = on_valkey.recorder(machine, file=HistoryFile(tmp_path / "history.samples"))
    await on_valkey.minutes(3, recorder)
    with valkey.client() as store:
        store.flushall()
    machine.rss["store"] = (machine.rss["store"][0] + 1, 20 * MB)
    await on_valkey.minutes(2, recorder)
    document = await on_valkey.reports.recent(1)
    assert document.gates[0].samples == 5
    assert [event.kind for event in document.events] == ["store_restart"]


@pytest.mark.server
def test_the_reports_of_a_gate_with_an_embedded_store_outlive_its_process(tmp_path: Path) -> None:
    for starts in (1, 2):
        with gate_process(history_dir=tmp_path, gate_name="eu-1") as gate, gate.client() as client:

            def samples(expected: int = starts) -> bool:
                gates = client.get("/reports/recent").json()["gates"]
                return bool(gates) and gates[0]["samples"] == expected

            assert wait_until(samples, 60)
            if starts == 1:
                client.post("/transactions", json=[{"signature": f"s-{n}"} for n in range(9)])
            else:
                [found] = client.get("/reports/recent").json()["gates"]
                assert found["restarts"] == 1
