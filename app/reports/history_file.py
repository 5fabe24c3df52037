"""Keeps the samples of a gate with an embedded store in a file, since that store ends with the gate.

The file is one gate's. Each record is the length of a sample, four bytes, and the sample as the store has it.
A record that a crash has cut off is the last one, and is dropped. The file is written anew, without the
oldest records, when it has a quarter more than are kept: it stays below 5 MB for a gate without workers.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import quote

import structlog

from app.reports.samples import UnusableSample, decoded
from app.settings.gate_name import gate_name
from app.settings.model import Settings
from app.store.history import KEPT_MS, MOST_SAMPLES

log = structlog.get_logger()

_LENGTH = struct.Struct(">I")
MOST_SAMPLE_BYTES = 64 * 1024
MOST_RECORDS = MOST_SAMPLES + MOST_SAMPLES // 4


class HistoryFile:
    """One gate's samples, oldest first; what goes wrong with the file costs a warning, once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: int | None = None  # how many there are; None until the file was read
        self._has_warned = False

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return the file of a gate; None if it has an external store, or no folder was set."""
        if settings.store_url or settings.history_dir is None:
            return None
        return cls(settings.history_dir / f"history-{quote(gate_name(settings), safe='')}.samples")

    def read(self, now_ms: int) -> list[bytes]:
        """Return the samples of the last eight days, at most 11,520; none if the file cannot be read."""
        try:
            return [sample for sample in self._read()[-MOST_SAMPLES:] if _is_of_late(sample, now_ms)]
        except OSError as error:
            self._warn(error)
            return []

    def add(self, sample: bytes) -> None:
        """Append a sample."""
        try:
            if self._records is None or self._records >= MOST_RECORDS:
                self._rewrite(self._read()[-MOST_SAMPLES:])
            with _open(self._path, os.O_APPEND) as file:
                file.write(_record(sample))
            self._records = (self._records or 0) + 1
        except OSError as error:
            self._warn(error)

    def _read(self) -> list[bytes]:
        try:
            return list(_samples(self._path.read_bytes()))
        except FileNotFoundError:
            return []

    def _rewrite(self, samples: Sequence[bytes]) -> None:
        """Replace the file's samples in one step: a crash leaves the old file, never part of a record."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        with _open(partial, os.O_TRUNC) as file:
            file.writelines(map(_record, samples))
        partial.replace(self._path)
        self._records = len(samples)

    def _warn(self, error: OSError) -> None:
        if not self._has_warned:
            log.warning(
                "history file cannot be used; set TIDEGATE_HISTORY_DIR to a folder the gate can write to",
                file=str(self._path),
                error=error.strerror or str(error),
            )
        self._has_warned = True


def _open(path: Path, how: int) -> BinaryIO:
    """Open a file of this user alone, for writing."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | how, 0o600)
    return os.fdopen(descriptor, "wb")


def _record(sample: bytes) -> bytes:
    return _LENGTH.pack(len(sample)) + sample


def _samples(stored: bytes) -> Iterator[bytes]:
    """Yield the samples up to the first that is cut off or cannot be one."""
    at = 0
    while at + _LENGTH.size <= len(stored):
        (length,) = _LENGTH.unpack_from(stored, at)
        end = at + _LENGTH.size + length
        if length > MOST_SAMPLE_BYTES or end > len(stored):
            return
        yield stored[at + _LENGTH.size : end]
        at = end


def _is_of_late(sample: bytes, now_ms: int) -> bool:
    try:
        return decoded(sample).taken_ms > now_ms - KEPT_MS
    except UnusableSample:
        return False
