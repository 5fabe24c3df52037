"""Examines what leaks: notes cheap figures while all is well, looks closely once a leak is certain."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import structlog

from app.errors import StoreError
from app.guard.detector import Finding
from app.guard.diagnosis.archive import write
from app.guard.diagnosis.census import take_census
from app.guard.diagnosis.document import Diagnosis
from app.guard.diagnosis.examination import Baseline, Case, examine_gate, examine_store
from app.guard.diagnosis.figures import GateFigures, GateReader, Notes, StoreReading
from app.settings import Settings

log = structlog.get_logger()

# Of the leak window, as the detector's blocks are.
NOTES_A_WINDOW = 10


@dataclass(frozen=True)
class Readers:
    """What the examiner reads; the store's figures are None while there are none."""

    gate: GateReader
    store: Callable[[float], Awaitable[StoreReading | None]]
    wall_ms: Callable[[], int]


class Examiner:
    """One for a gate. `follow` is called with every sample, `examine` with every leak that is certain."""

    def __init__(self, settings: Callable[[], Settings], readers: Readers) -> None:
        self._settings = settings
        self._readers = readers
        self._gate = Notes[GateFigures]()
        self._store = Notes[StoreReading]()
        self._latest: GateFigures | None = None
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self.baseline: Baseline | None = None
        self._diagnoses: deque[Diagnosis] = deque(maxlen=settings().diagnoses_kept)

    @property
    def latest(self) -> GateFigures | None:
        """The gate's figures of the last sample."""
        return self._latest

    @property
    def diagnoses(self) -> list[Diagnosis]:
        """Those of this gate's life, the newest first, as many as are kept."""
        return list(self._diagnoses)

    async def follow(self, at_seconds: float, *, is_warm: bool) -> None:
        """Note the figures of this moment; once the gate is warm, count its objects."""
        spacing_seconds = self._settings().leak_window_seconds / NOTES_A_WINDOW
        self._latest = self._readers.gate.read(at_seconds)
        if self._gate.is_due(at_seconds, spacing_seconds):
            self._gate.append(self._latest)
        if self._store.is_due(at_seconds, spacing_seconds):
            with suppress(StoreError):
                reading = await self._readers.store(at_seconds)
                if reading is not None:
                    self._store.append(reading)
        if is_warm and self.baseline is None:
            self.baseline = Baseline(at_seconds, await take_census())

    def examine(self, process: str, finding: Finding, released: Mapping[str, int]) -> None:
        """Begin an examination, unless one of that process is under way; growth is that before any action."""
        if process not in ("gate", "store"):
            log.warning(
                "a worker is not examined from outside", process=process, growth_bytes=finding.growth_bytes
            )
            return
        running = self._under_way.get(process)
        if running is None or running.done():
            case = Case(process, finding, self._readers.wall_ms(), dict(released))
            work = self._examine_gate(case) if process == "gate" else self._examine_store(case)
            self._under_way[process] = asyncio.create_task(self._report(case, work), name="examination")

    async def close(self) -> None:
        """Break off what is under way."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _examine_gate(self, case: Case) -> Diagnosis | None:
        before, after = self._gate.at(case.finding.since_seconds), self._latest
        if before is None or after is None:
            return None
        return await examine_gate(case, before, after, self.baseline, self._readers.gate.heap)

    async def _examine_store(self, case: Case) -> Diagnosis | None:
        before = self._store.at(case.finding.since_seconds)
        return examine_store(case, before, self._store[-1]) if before else None

    async def _report(self, case: Case, work: Awaitable[Diagnosis | None]) -> None:
        try:
            diagnosis = await work
        except Exception:
            log.exception("examination failed", process=case.process)
            return
        if diagnosis is None:
            return
        self._diagnoses.appendleft(diagnosis)
        settings = self._settings()
        path = await asyncio.to_thread(write, diagnosis, settings.diagnosis_dir, settings.diagnoses_kept)
        log.warning(
            "leak diagnosed",
            process=case.process,
            cause=diagnosis.cause,
            summary=diagnosis.summary,
            file=path and str(path),
        )
