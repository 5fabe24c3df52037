"""Examines what leaks: notes cheap figures while all is well, looks closely once a leak is certain."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import structlog

from app.errors import StoreError
from app.guard.diagnosis.archive import write
from app.guard.diagnosis.document import Diagnosis
from app.guard.diagnosis.examination import Baseline, ProvenLeak, diagnose_store
from app.guard.diagnosis.figures import Notes, ProcessFigures, ProcessReader, StoreReading
from app.guard.diagnosis.own import ProcessExaminer
from app.guard.leak.detector import Finding
from app.settings.model import Settings

log = structlog.get_logger()

# Of the leak window, as the detector's blocks are.
NOTES_A_WINDOW = 10


async def nobody(leak: ProvenLeak) -> Diagnosis | None:
    """Of a gate without workers."""


@dataclass(frozen=True)
class Readers:
    """What the examiner reads; the store's figures are None while there are none.

    `worker` has the worker of the leak examine itself, and is None when it does not.
    """

    gate: ProcessReader
    store: Callable[[float], Awaitable[StoreReading | None]]
    wall_ms: Callable[[], int]
    worker: Callable[[ProvenLeak], Awaitable[Diagnosis | None]] = nobody


class Examiner:
    """One for a gate. `follow` is called with every sample, `examine` with every leak that is certain."""

    def __init__(self, settings: Callable[[], Settings], readers: Readers) -> None:
        self._settings = settings
        self._readers = readers
        self._gate = ProcessExaminer(readers.gate)
        self._store = Notes[StoreReading]()
        self._followed_at = 0.0
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._diagnoses: deque[Diagnosis] = deque(maxlen=settings().diagnoses_kept)

    @property
    def latest(self) -> ProcessFigures | None:
        """The gate's figures of the last sample."""
        return self._gate.latest

    @property
    def baseline(self) -> Baseline | None:
        """The gate's objects, counted once."""
        return self._gate.baseline

    @property
    def diagnoses(self) -> list[Diagnosis]:
        """Those of this gate's life, the newest first, as many as are kept."""
        return list(self._diagnoses)

    async def follow(self, at_seconds: float, *, is_warm: bool) -> None:
        """Note the figures of this moment; once the gate is warm, count its objects."""
        spacing_seconds = self._settings().leak_window_seconds / NOTES_A_WINDOW
        self._followed_at = at_seconds
        if self._store.is_due(at_seconds, spacing_seconds):
            with suppress(StoreError):
                reading = await self._readers.store(at_seconds)
                if reading is not None:
                    self._store.append(reading)
        await self._gate.follow(at_seconds, spacing_seconds, is_warm=is_warm)

    def examine(self, process: str, finding: Finding, released: Mapping[str, int]) -> None:
        """Begin an examination, unless one of that process is under way; growth is that before any action."""
        running = self._under_way.get(process)
        if running is None or running.done():
            leak = ProvenLeak(process, finding, self._followed_at, self._readers.wall_ms(), dict(released))
            ways = {"gate": self._gate.examine, "store": self._examine_store}
            work = ways.get(process, self._readers.worker)(leak)
            self._under_way[process] = asyncio.create_task(self._report(leak, work), name="examination")

    async def close(self) -> None:
        """Break off what is under way."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _examine_store(self, leak: ProvenLeak) -> Diagnosis | None:
        before = self._store.at(leak.finding.since_seconds)
        return diagnose_store(leak, before, self._store[-1]) if before else None

    async def _report(self, leak: ProvenLeak, work: Awaitable[Diagnosis | None]) -> None:
        try:
            diagnosis = await work
        except Exception:
            log.exception("examination failed", process=leak.process)
            return
        if diagnosis is None:
            return
        self._diagnoses.appendleft(diagnosis)
        settings = self._settings()
        path = await asyncio.to_thread(write, diagnosis, settings.diagnosis_dir, settings.diagnoses_kept)
        log.warning(
            "leak diagnosed",
            process=leak.process,
            cause=diagnosis.cause,
            summary=diagnosis.summary,
            file=path and str(path),
        )
