"""One examination: evidence is gathered, judged, and put into words."""

from collections.abc import Callable
from dataclasses import dataclass, field

from app.guard.diagnosis.census import Census, take_census, top_growth
from app.guard.diagnosis.document import Allocation, Cause, Diagnosis, TypeGrowth
from app.guard.diagnosis.figures import GateFigures, StoreReading
from app.guard.diagnosis.gate import GateEvidence, judge_gate
from app.guard.diagnosis.heap import Heap
from app.guard.diagnosis.sentence import relief, sentence
from app.guard.diagnosis.split import Judgement
from app.guard.diagnosis.store import judge_store
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
    census: Census


@dataclass(frozen=True)
class Case:
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


async def examine_gate(
    case: Case,
    before: GateFigures,
    after: GateFigures,
    baseline: Baseline | None,
    heap: Callable[[], Heap] | None,
) -> Diagnosis:
    """Count objects, trace allocations for some seconds, judge."""
    census = await take_census()
    counted = baseline.census if baseline else census
    types = await top_growth(counted, census)
    traced = await trace(seconds_for(case.finding.slope_bytes_per_hour), heap)
    judgement = judge_gate(GateEvidence(before, after, counted, census, traced))
    notes = {
        NO_HEAP: heap is None,
        NO_DESCRIPTORS: after.descriptors is None,
        NO_BASELINE: baseline is None,
        TOO_LITTLE_TRACED: judgement.cause is Cause.UNKNOWN and traced.python_share_of_heap is None,
    }
    applying = [note for note, applies in notes.items() if applies]
    look = CloseLook(types, traced.places, traced.seconds, applying)
    return _diagnosis(case, after.at_seconds - before.at_seconds, judgement, look)


def examine_store(case: Case, before: StoreReading, after: StoreReading) -> Diagnosis:
    """Judge the store's figures; there is nothing to be looked at more closely."""
    return _diagnosis(case, after.at_seconds - before.at_seconds, judge_store(before, after), CloseLook())


def _diagnosis(case: Case, seconds: float, judgement: Judgement, look: CloseLook) -> Diagnosis:
    what = sentence(case.process, seconds, judgement, look.types, look.places)
    return Diagnosis(
        process=case.process,
        tier=case.finding.tier,
        detected_ms=case.detected_ms,
        growth_bytes=judgement.growth_bytes,
        window_seconds=seconds,
        slope_bytes_per_hour=case.finding.slope_bytes_per_hour,
        cause=judgement.cause,
        summary=f"{what} {relief(case.released)}",
        released_bytes=case.released,
        parts=judgement.parts,
        top_types=look.types,
        top_allocations=look.places,
        traced_seconds=look.traced_seconds,
        notes=look.notes,
    )
