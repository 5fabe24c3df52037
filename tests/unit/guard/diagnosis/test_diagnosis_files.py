import json
import resource
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.guard.diagnosis import diagnosis_files
from app.guard.diagnosis.diagnosis import Cause, Diagnosis
from app.guard.diagnosis.diagnosis_files import default_folder, write
from app.guard.leak.finding import Tier


def diagnosis(at_ms: int = 1_700_000_000_000, **changes: object) -> Diagnosis:
    plain = Diagnosis(
        process="gate",
        tier=Tier.RULE,
        detected_ms=at_ms,
        growth_bytes=1,
        window_seconds=1.0,
        slope_bytes_per_hour=1.0,
        cause=Cause.UNKNOWN,
        summary="The gate grew.",
        released_bytes={},
        parts=[],
        top_types=[],
        top_allocations=[],
        traced_seconds=0.0,
        notes=[],
    )
    return plain.model_copy(update=changes)


def test_a_file_holds_the_whole_diagnosis_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "diagnoses"
    path = write(diagnosis(), folder, kept=5)
    assert path is not None
    assert json.loads(path.read_text()) == diagnosis().model_dump(mode="json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [one.name for one in folder.iterdir()] == [path.name]


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not ours")
    for number in range(7):
        write(diagnosis(1_700_000_000_000 + number), tmp_path, kept=3)
    left = sorted(path.name for path in tmp_path.glob("*.json"))
    assert [name.split("-")[1][-1] for name in left] == ["4", "5", "6"]
    assert (tmp_path / "notes.txt").exists()


def test_the_oldest_go_when_they_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis_files, "FOLDER_BYTES", 5000)
    for number in range(5):
        write(diagnosis(1_700_000_000_000 + number, summary="x" * 2000), tmp_path, kept=100)
    assert len(list(tmp_path.glob("*.json"))) == 2
    write(diagnosis(1_700_000_000_009, summary="x" * 9000), tmp_path, kept=100)
    assert len(list(tmp_path.glob("*.json"))) == 1, "the newest stays, however large"


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow past a few bytes; writing more fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_a_warning_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert write(diagnosis(), tmp_path, kept=5) is None
    assert [line["log_level"] for line in logs] == ["warning"]
    assert "TIDEGATE_DIAGNOSIS_DIR" in logs[0]["event"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_or_written_to_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        with capture_logs() as logs:
            assert write(diagnosis(), folder, kept=5) is None
        assert [line["log_level"] for line in logs] == ["warning"]


def test_the_default_folder_is_private_and_never_somebody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = write(diagnosis(), None, kept=5)
    assert path is not None
    assert path.parent == default_folder()
    path.unlink()
    default_folder().chmod(0o777)
    assert write(diagnosis(), None, kept=5) is None, "anybody could have put files there"
    default_folder().rmdir()
    (tmp_path / "elsewhere").mkdir(0o700)
    default_folder().symlink_to(tmp_path / "elsewhere")
    assert write(diagnosis(), None, kept=5) is None
    assert list((tmp_path / "elsewhere").iterdir()) == []
