"""One examination: evidence is gathered, judged, and put into words."""

from collections.abc import Callable
from dataclasses import dataclass, field

from app.guard.diagnosis.document import Allocation, Cause, Diagnosis, TypeGrowth
from app.guard.diagnosis.figures import ProcessFigures, StoreReading
from app.guard.diagnosis.gate import ProcessEvidence, explain_process_growth
from app.guard.diagnosis.heap import Heap
from app.guard.diagnosis.object_counts import ObjectCounts, count_objects, grown_types
from app.guard.diagnosis.sentence import relief, sentence
from app.guard.diagnosis.split import ExplainedGrowth
from app.guard.diagnosis.store import explain_store_growth
from app.guard.diagnosis.tracing import seconds_for, trace
from app.guard.leak.detector import Finding

NO_HEAP = "The C library does not tell what its heap holds (mallinfo2): what it handed out is unexplained."
NO_DESCRIPTORS = "/proc/self/fd cannot be read: open files are not counted."
NO_BASELINE = "No objects were counted before: which types grew is not known."
TOO_LITTLE_TRACED = (
    "Too little grew while tracing to tell large Python objects from memory of C libraries; "
    "what malloc handed out is unexplained."
)


@dataclass(frozen=True)
class Baseline:
    """Taken once, when the gate is warm: how many objects of each type there are."""

    at_seconds: float
    objects: ObjectCounts


@dataclass(frozen=True)
class ProvenLeak:
    """What was found, when (milliseconds since the epoch), and what the guard's actions gave back.

    `until_seconds` is before these actions, on the clock of the finding.
    """

    process: str
    finding: Finding
    until_seconds: float
    detected_ms: int
    released: dict[str, int]


@dataclass(frozen=True)
class CloseLook:
    """What was seen from near; nothing of the store."""

    types: list[TypeGrowth] = field(default_factory=list)
    places: list[Allocation] = field(default_factory=list)
    traced_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


async def diagnose_process(
    leak: ProvenLeak,
    before: ProcessFigures,
    after: ProcessFigures,
    baseline: Baseline | None,
    heap: Callable[[], Heap] | None,
) -> Diagnosis:
    """Count objects, trace allocations for some seconds, judge."""
    census = await count_objects()
    counted = baseline.objects if baseline else census
    types = await grown_types(counted, census)
    traced = await trace(seconds_for(leak.finding.slope_bytes_per_hour), heap)
    judgement = explain_process_growth(ProcessEvidence(before, after, counted, census, traced))
    notes = {
        NO_HEAP: heap is None,
        NO_DESCRIPTORS: after.descriptors is None,
        NO_BASELINE: baseline is None,
        TOO_LITTLE_TRACED: judgement.cause is Cause.UNKNOWN and traced.python_share_of_heap is None,
    }
    applying = [note for note, applies in notes.items() if applies]
    look = CloseLook(types, traced.places, traced.seconds, applying)
    return _diagnosis(leak, after.at_seconds - before.at_seconds, judgement, look)


def diagnose_store(leak: ProvenLeak, before: StoreReading, after: StoreReading) -> Diagnosis:
    """Judge the store's figures; there is nothing to be looked at more closely."""
    return _diagnosis(
        leak, after.at_seconds - before.at_seconds, explain_store_growth(before, after), CloseLook()
    )


def _diagnosis(leak: ProvenLeak, seconds: float, judgement: ExplainedGrowth, look: CloseLook) -> Diagnosis:
    what = sentence(leak.process, seconds, judgement, look.types, look.places)
    return Diagnosis(
        process=leak.process,
        tier=leak.finding.tier,
        detected_ms=leak.detected_ms,
        growth_bytes=judgement.growth_bytes,
        window_seconds=seconds,
        slope_bytes_per_hour=leak.finding.slope_bytes_per_hour,
        cause=judgement.cause,
        summary=f"{what} {relief(leak.released)}",
        released_bytes=leak.released,
        parts=judgement.parts,
        top_types=look.types,
        top_allocations=look.places,
        traced_seconds=look.traced_seconds,
        notes=look.notes,
    )
