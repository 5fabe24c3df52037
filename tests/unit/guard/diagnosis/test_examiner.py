"""When figures are noted, when an examination begins, and what becomes of what it found."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from app.errors import StoreUnreachable
from app.guard.diagnosis import tracing
from app.guard.diagnosis.diagnosis import Cause, Diagnosis, PartName
from app.guard.diagnosis.examiner import Examiner, ProcessExaminer, ProvenLeak
from app.guard.diagnosis.process_figures import ProcessReader
from app.guard.leak.finding import Finding, Tier
from app.guard.memory_reading import MemoryReading, ProcessReading
from app.models import StoreFigures
from app.settings.model import Settings

MIB = 1024 * 1024
STORE = ProcessReading("store", 8, 20 * MIB, {"maps": 10 * MIB})
STORE_FIGURES = StoreFigures(18 * MIB, 20 * MIB, None, 0, frozenset())
KEYSPACE = [{"db0": {"keys": 50, "expires": 50}}]


@pytest.fixture(autouse=True)
def short_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "LEAST_SECONDS", 0.2)
    monkeypatch.setattr(tracing, "MOST_SECONDS", 0.2)


class Surgery:
    """An examiner whose readings are numbers."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(leak_window_seconds=100, diagnosis_dir=folder, diagnoses_kept=3)
        self.now = 1000.0
        self.resident = 60 * MIB
        self.connections = 0
        self.is_store_gone = False
        self.store_reads = 0
        reader = ProcessReader(lambda: 0, lambda: self.connections)
        self.worker = ProcessExaminer(reader)
        self.examiner = Examiner(
            lambda: self.settings, reader, self._keyspace, lambda: 1_700_000_000_000, self._examine_worker
        )

    async def note(self, seconds: float, *, is_warm: bool = True) -> None:
        for _ in range(round(seconds)):
            self.now += 1
            processes = {"gate": ProcessReading("gate", 7, self.resident, {}), "store": STORE}
            reading = MemoryReading(self.now, 0, processes, None, None, STORE_FIGURES)
            await self.examiner.note(reading, is_warm=is_warm)

    def examine(self, process: str, **released: int) -> None:
        finding = Finding(Tier.RULE, MIB, 100.0, 36.0 * MIB, since_seconds=self.now - 100)
        self.examiner.examine(process, finding, released)

    async def report(self, count: int = 1) -> list[Diagnosis]:
        async with asyncio.timeout(60):
            while len(self.examiner.diagnoses) < count:
                await asyncio.sleep(0.01)
        return self.examiner.diagnoses

    async def _keyspace(self) -> list[dict[str, dict[str, int]]]:
        self.store_reads += 1
        if self.is_store_gone:
            raise StoreUnreachable("gone")
        return KEYSPACE

    async def _examine_worker(self, worker: str, leak: bytes) -> bytes | None:
        """Answer as a worker does, whose process this is."""
        found = await self.worker.diagnose(msgspec.json.decode(leak, type=ProvenLeak))
        assert found is None or found.process == worker
        return found.model_dump_json().encode() if found else None


@pytest.fixture
def surgery(tmp_path: Path) -> Surgery:
    return Surgery(tmp_path / "diagnoses")


async def test_objects_are_counted_once_when_the_gate_is_warm(surgery: Surgery) -> None:
    await surgery.note(5, is_warm=False)
    cold = surgery.examiner.baseline
    await surgery.note(5)
    baseline = surgery.examiner.baseline
    assert cold is None
    assert baseline is not None
    assert (baseline.at_seconds, baseline.objects["dict"] > 100) == (1006.0, True)
    await surgery.note(50)
    assert surgery.examiner.baseline is baseline


async def test_the_store_is_asked_ten_times_a_window(surgery: Surgery) -> None:
    await surgery.note(100)
    assert surgery.store_reads == 10


async def test_growth_is_that_of_the_window_before_anything_was_done_about_it(surgery: Surgery) -> None:
    await surgery.note(100)
    for _ in range(100):
        surgery.resident += MIB // 4
        surgery.connections += 30
        await surgery.note(1)
    surgery.resident, surgery.connections = 61 * MIB, 0
    surgery.examine("gate", gc=0, trim=5, shrink=24 * MIB)
    [found] = await surgery.report()
    assert found.cause is Cause.CONNECTIONS
    assert found.growth_bytes == 25 * MIB
    assert 100 <= found.window_seconds <= 110
    assert [part.count for part in found.parts if part.part is PartName.CONNECTIONS] == [3000]
    assert found.released_bytes == {"gc": 0, "trim": 5, "shrink": 24 * MIB}
    assert found.summary.endswith("gave back 24.0 MiB.")


async def test_a_worker_examines_itself_and_leaves_out_what_the_guard_has_done_since(
    surgery: Surgery,
) -> None:
    await surgery.note(100)
    for second in range(900, 1200):
        surgery.resident += MIB // 4
        surgery.connections += 30
        await surgery.worker.note(float(second), surgery.resident, 10.0, is_warm=True)
    surgery.resident = 60 * MIB
    surgery.examine("worker-1", shrink=25 * MIB)
    [found] = await surgery.report()
    assert (found.process, found.cause) == ("worker-1", Cause.CONNECTIONS)
    assert (found.growth_bytes, found.window_seconds) == (25 * MIB, 100)
    assert found.summary.startswith("Worker-1 grew 25.0 MiB in 100 s, with +3,000 open connections")


async def test_a_worker_that_cannot_say_what_grew_leaves_no_diagnosis(surgery: Surgery) -> None:
    await surgery.note(100)
    surgery.examine("worker-1")
    await until_idle()
    assert surgery.examiner.diagnoses == []


async def test_one_process_is_examined_once_at_a_time(surgery: Surgery) -> None:
    await surgery.note(100)
    surgery.examine("gate")
    surgery.examine("gate")
    surgery.examine("store")
    both = await surgery.report(2)
    assert sorted(one.process for one in both) == ["gate", "store"]
    await asyncio.sleep(0)
    surgery.examine("store")
    assert len(await surgery.report(3)) == 3


async def test_as_many_are_shown_as_are_kept_and_each_is_logged_and_written(surgery: Surgery) -> None:
    await surgery.note(100)
    with capture_logs() as logs:
        for number in range(5):
            surgery.examine("store", trim=number)
            await until_idle()
    assert [one.released_bytes["trim"] for one in surgery.examiner.diagnoses] == [4, 3, 2]
    assert [line["event"] for line in logs] == ["leak diagnosed"] * 5
    assert all(Path(line["file"]).parent == surgery.settings.diagnosis_dir for line in logs)


async def test_a_folder_that_cannot_be_used_costs_the_file_only(surgery: Surgery, tmp_path: Path) -> None:
    (tmp_path / "diagnoses").write_text("in the way")
    await surgery.note(100)
    with capture_logs() as logs:
        surgery.examine("store")
        await until_idle()
    assert len(surgery.examiner.diagnoses) == 1
    assert [line["log_level"] for line in logs] == ["warning", "warning"]
    assert logs[1]["file"] is None


async def test_a_store_that_is_gone_does_not_stop_the_notes_of_the_gate(surgery: Surgery) -> None:
    surgery.is_store_gone = True
    await surgery.note(100)
    with capture_logs() as logs:
        surgery.examine("store")
        await until_idle()
    assert surgery.examiner.diagnoses == []
    assert logs == [], "nothing was ever known of that store"
    surgery.examine("gate")
    assert (await surgery.report())[0].process == "gate"


async def test_a_gate_that_stops_breaks_off_what_is_under_way(surgery: Surgery) -> None:
    await surgery.note(100)
    surgery.examine("gate")
    await asyncio.sleep(0.05)
    await surgery.examiner.close()
    assert surgery.examiner.diagnoses == []


async def until_idle() -> None:
    """Until no examination is under way."""
    async with asyncio.timeout(60):
        while any(task.get_name() == "examination" for task in asyncio.all_tasks()):
            await asyncio.sleep(0.01)
