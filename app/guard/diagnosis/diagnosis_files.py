"""Writes diagnoses as files: private, few, small. A folder that cannot be written to costs a warning only."""

import os
import tempfile
from pathlib import Path

import structlog

from app.guard.diagnosis.diagnosis import Diagnosis

log = structlog.get_logger()

FOLDER_BYTES = 4 * 1024 * 1024
PREFIX, SUFFIX = "diagnosis-", ".json"


def default_folder() -> Path:
    """Return the folder among the temporary files that is used without a setting, one for each user."""
    return Path(tempfile.gettempdir()) / f"tidegate_diagnoses_{os.getuid()}"


def write(diagnosis: Diagnosis, folder: Path | None, kept: int) -> Path | None:
    """Write one diagnosis to a file of its own, and remove the oldest files past `kept` of them or 4 MiB.

    Returns the path, None when that failed.
    """
    chosen = folder or default_folder()
    try:
        _make_private(chosen, ours=folder is None)
        path = _write_new(diagnosis, chosen)
        _remove_oldest(chosen, kept)
    except OSError as error:
        log.warning(
            "diagnosis not written; set TIDEGATE_DIAGNOSIS_DIR to a folder the gate can write to",
            folder=str(chosen),
            error=error.strerror or str(error),
        )
        return None
    return path


def _make_private(folder: Path, *, ours: bool) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if ours and (status.st_uid != os.getuid() or folder.is_symlink() or status.st_mode & 0o077):
        raise PermissionError(0, "somebody else made this folder")


def _write_new(diagnosis: Diagnosis, folder: Path) -> Path:
    path = folder / f"{PREFIX}{diagnosis.detected_ms}-{diagnosis.process}-{os.getpid()}{SUFFIX}"
    partial = path.with_suffix(".partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(diagnosis.model_dump_json(indent=1))
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return path


def _remove_oldest(folder: Path, kept: int) -> None:
    newest_first = sorted(folder.glob(f"{PREFIX}*{SUFFIX}"), reverse=True)
    total = 0
    for number, path in enumerate(newest_first):
        total += path.stat().st_size
        if number and (number >= kept or total > FOLDER_BYTES):
            path.unlink(missing_ok=True)
