"""Examines what leaks: notes cheap figures while all is well, and looks closely once a leak is proven.

1. With each reading of memory the figures of the gate and of the store are noted, ten times a leak window.
   Once the gate is warm its objects are counted by type (the baseline).
2. The guard proves a leak, acts on it, and calls `examine` with the finding.
3. The examination compares the note from before the growth with the last one from before any action. In a
   process it also counts the objects again and traces allocations for 6 to 60 seconds. A worker does that
   itself, asked by the control plane.
4. `growth_parts` says what the growth is, also in words, and `diagnosis_files` writes the diagnosis.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from app.errors import StoreError
from app.guard.diagnosis.diagnosis import Allocation, Cause, Diagnosis, TypeGrowth
from app.guard.diagnosis.diagnosis_files import write
from app.guard.diagnosis.growth_parts import (
    GrowthParts,
    ProcessEvidence,
    explain_process_growth,
    explain_store_growth,
    relief,
    sentence,
)
from app.guard.diagnosis.object_counts import ObjectCounts, count_objects, grown_types
from app.guard.diagnosis.process_figures import (
    Notes,
    ProcessFigures,
    ProcessReader,
    StoreReading,
    store_reading,
)
from app.guard.diagnosis.tracing import Traced, seconds_for, trace
from app.guard.leak.finding import Finding
from app.guard.memory_reading import MemoryReading
from app.settings.model import Settings

log = structlog.get_logger()

# In a leak window, as many as the detector has blocks.
NOTES_A_WINDOW = 10
NO_HEAP = "The C library does not tell what its heap holds (mallinfo2): what it handed out is unexplained."
NO_DESCRIPTORS = "/proc/self/fd cannot be read: open files are not counted."
NO_BASELINE = "No objects were counted before: which types grew is not known."
TOO_LITTLE_TRACED = (
    "Too little grew while tracing to tell large Python objects from memory of C libraries; "
    "what malloc handed out is unexplained."
)


@dataclass(frozen=True)
class Baseline:
    """How many objects of each type there were when the process was warm; counted once."""

    at_seconds: float
    objects: ObjectCounts


@dataclass(frozen=True)
class ProvenLeak:
    """What is to be examined: who leaks, what was found, and what the guard's actions gave back, by action.

    `until_seconds` is before these actions, on the clock of the finding; `detected_ms` is since the epoch.
    """

    process: str
    finding: Finding
    until_seconds: float
    detected_ms: int
    released: dict[str, int]


@dataclass(frozen=True)
class CloseLook:
    """What was seen from near in a process: types, allocating lines, what could not be read."""

    types: list[TypeGrowth] = field(default_factory=list)
    places: list[Allocation] = field(default_factory=list)
    traced_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


class ProcessExaminer:
    """Notes the figures of the process it runs in, gate or worker, and examines it once it leaks."""

    def __init__(self, reader: ProcessReader) -> None:
        self._reader = reader
        self._notes = Notes[ProcessFigures]()
        self.latest: ProcessFigures | None = None
        """The figures that were read last."""
        self.baseline: Baseline | None = None

    async def note(
        self, at_seconds: float, resident_bytes: int, spacing_seconds: float, *, is_warm: bool
    ) -> None:
        """Read the figures, and note them when that is due; once the process is warm, count its objects."""
        self.latest = self._reader.read(at_seconds, resident_bytes)
        if self._notes.is_due(at_seconds, spacing_seconds):
            self._notes.append(self.latest)
        if is_warm and self.baseline is None:
            self.baseline = Baseline(at_seconds, await count_objects())

    async def diagnose(self, leak: ProvenLeak) -> Diagnosis | None:
        """Look closely, for seconds, and say what grew; None when nothing was noted before."""
        before, after = self._notes.at(leak.finding.since_seconds), self._figures_at(leak.until_seconds)
        if before is None or after is None:
            return None
        objects = await count_objects()
        counted = self.baseline.objects if self.baseline else objects
        types = await grown_types(counted, objects)
        traced = await trace(seconds_for(leak.finding.slope_bytes_per_hour), self._reader.heap)
        growth = explain_process_growth(ProcessEvidence(before, after, counted, objects, traced))
        look = CloseLook(types, traced.places, traced.seconds, self._unknown(after, growth, traced))
        return _diagnosis(leak, after.at_seconds - before.at_seconds, growth, look)

    def _figures_at(self, seconds: float) -> ProcessFigures | None:
        """The latest figures, unless they are from after what the guard has done by now."""
        latest = self.latest
        return latest if latest and latest.at_seconds <= seconds else self._notes.at(seconds)

    def _unknown(self, after: ProcessFigures, growth: GrowthParts, traced: Traced) -> list[str]:
        notes = {
            NO_HEAP: self._reader.heap is None,
            NO_DESCRIPTORS: after.descriptors is None,
            NO_BASELINE: self.baseline is None,
            TOO_LITTLE_TRACED: growth.cause is Cause.UNKNOWN and traced.python_share_of_heap is None,
        }
        return [note for note, applies in notes.items() if applies]


class Examiner:
    """Examines the gate, its store, and with their help its workers; keeps the latest diagnoses."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        reader: ProcessReader,
        keyspace: Callable[[], Awaitable[Sequence[Mapping[str, Any]]]],
        wall_ms: Callable[[], int],
        in_worker: Callable[[str, bytes], Awaitable[bytes | None]] | None = None,
    ) -> None:
        """Build an examiner that reads with these functions.

        `keyspace` asks each master of the store for `INFO keyspace`. `in_worker` has the worker of this name
        examine a leak, given and answered as JSON; its answer is None or empty when it cannot say.
        """
        self._settings = settings
        self._keyspace, self._wall_ms, self._in_worker = keyspace, wall_ms, in_worker
        self._gate = ProcessExaminer(reader)
        self._store = Notes[StoreReading]()
        self._noted_at = 0.0
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._diagnoses: deque[Diagnosis] = deque(maxlen=settings().diagnoses_kept)

    @property
    def latest(self) -> ProcessFigures | None:
        """The gate's figures of the last reading."""
        return self._gate.latest

    @property
    def baseline(self) -> Baseline | None:
        """The gate's objects, counted once."""
        return self._gate.baseline

    @property
    def diagnoses(self) -> list[Diagnosis]:
        """The diagnoses of this gate's life, the newest first, as many as are kept."""
        return list(self._diagnoses)

    async def note(self, reading: MemoryReading, *, is_warm: bool) -> None:
        """Note the figures of this moment; once the gate is warm, count its objects."""
        spacing_seconds = self._settings().leak_window_seconds / NOTES_A_WINDOW
        self._noted_at = reading.at_seconds
        if self._store.is_due(reading.at_seconds, spacing_seconds):
            with suppress(StoreError):
                figures = store_reading(reading, await self._keyspace())
                if figures is not None:
                    self._store.append(figures)
        gate = reading.processes.get("gate")
        if gate is not None:
            await self._gate.note(reading.at_seconds, gate.rss_bytes, spacing_seconds, is_warm=is_warm)

    def examine(self, process: str, finding: Finding, released: Mapping[str, int]) -> None:
        """Begin an examination, unless one of that process is under way; growth is that before any action."""
        running = self._under_way.get(process)
        if running is None or running.done():
            leak = ProvenLeak(process, finding, self._noted_at, self._wall_ms(), dict(released))
            ways = {"gate": self._gate.diagnose, "store": self._diagnose_store}
            work = ways.get(process, self._ask_worker)(leak)
            self._under_way[process] = asyncio.create_task(self._report(leak, work), name="examination")

    async def close(self) -> None:
        """Break off what is under way."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _diagnose_store(self, leak: ProvenLeak) -> Diagnosis | None:
        before = self._store.at(leak.finding.since_seconds)
        if before is None:
            return None
        after = self._store[-1]
        growth = explain_store_growth(before, after)
        return _diagnosis(leak, after.at_seconds - before.at_seconds, growth, CloseLook())

    async def _ask_worker(self, leak: ProvenLeak) -> Diagnosis | None:
        if self._in_worker is None:
            return None
        answer = await self._in_worker(leak.process, msgspec.json.encode(leak))
        return Diagnosis.model_validate_json(answer) if answer else None

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


def _diagnosis(leak: ProvenLeak, seconds: float, growth: GrowthParts, look: CloseLook) -> Diagnosis:
    what = sentence(leak.process, seconds, growth, look.types, look.places)
    return Diagnosis(
        process=leak.process,
        tier=leak.finding.tier,
        detected_ms=leak.detected_ms,
        growth_bytes=growth.growth_bytes,
        window_seconds=seconds,
        slope_bytes_per_hour=leak.finding.slope_bytes_per_hour,
        cause=growth.cause,
        summary=f"{what} {relief(leak.released)}",
        released_bytes=leak.released,
        parts=growth.parts,
        top_types=look.types,
        top_allocations=look.places,
        traced_seconds=look.traced_seconds,
        notes=look.notes,
    )
