"""What grew in the gate's process: a judgement on figures, the specific before the general."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.guard.diagnosis.document import Cause, PartName
from app.guard.diagnosis.figures import ProcessFigures
from app.guard.diagnosis.object_counts import ObjectCounts
from app.guard.diagnosis.split import ExplainedGrowth, blame, split
from app.guard.diagnosis.tracing import USUAL_SMALL_BYTES, Traced

# The least that one of them holds, without what it refers to; measured.
CONNECTION_BYTES = 8 * 1024
TASK_BYTES = 768
SERIES_BYTES = 800

TASK_TYPES = ("_asyncio.Task", "asyncio.tasks.Task")
SERIES_TYPES = ("prometheus_client.values.MutexValue",)

_NAMED = {
    PartName.CONNECTIONS: Cause.CONNECTIONS,
    PartName.TASKS: Cause.TASKS,
    PartName.METRIC_SERIES: Cause.METRIC_LABELS,
}
_GENERAL = {
    PartName.PYTHON_OBJECTS: Cause.PYTHON_OBJECTS,
    PartName.C_HEAP: Cause.C_HEAP,
    PartName.ALLOCATOR_HELD: Cause.ALLOCATOR,
}


@dataclass(frozen=True)
class ProcessEvidence:
    """Figures of the window's beginning and end, objects at the baseline and now, what tracing showed."""

    before: ProcessFigures
    after: ProcessFigures
    objects_before: ObjectCounts
    objects_after: ObjectCounts
    traced: Traced

    @property
    def growth_bytes(self) -> int:
        """Of resident memory."""
        return self.after.resident_bytes - self.before.resident_bytes


def explain_process_growth(evidence: ProcessEvidence) -> ExplainedGrowth:
    """Split the growth into parts and say what it is."""
    growth, counts = evidence.growth_bytes, _counts(evidence)
    sizes = {
        PartName.CONNECTIONS: counts[PartName.CONNECTIONS] * CONNECTION_BYTES,
        PartName.TASKS: counts[PartName.TASKS] * TASK_BYTES,
        PartName.METRIC_SERIES: counts[PartName.METRIC_SERIES] * SERIES_BYTES,
        PartName.IN_FLIGHT: max(0, evidence.after.in_flight_bytes - evidence.before.in_flight_bytes),
    }
    spoken_for = sum(sizes.values())
    python, c_heap, freed = _heaps(evidence)
    sizes[PartName.PYTHON_OBJECTS] = max(0, python - spoken_for)
    sizes[PartName.C_HEAP] = max(0, c_heap - max(0, spoken_for - python))
    sizes[PartName.ALLOCATOR_HELD] = max(0, min(freed, growth - sum(sizes.values())))
    sizes[PartName.DESCRIPTORS] = 0
    return ExplainedGrowth(growth, split(growth, sizes, counts), blame(growth, sizes, _NAMED, _GENERAL))


def _counts(evidence: ProcessEvidence) -> dict[PartName, int]:
    before, after = evidence.before, evidence.after
    descriptors = max(0, (after.descriptors or 0) - (before.descriptors or 0))
    tasks = max(after.tasks - before.tasks, _more(evidence, TASK_TYPES))
    return {
        # Those the gate opened itself are no client's; open files are mostly sockets.
        PartName.CONNECTIONS: max(0, after.connections - before.connections, descriptors),
        PartName.TASKS: max(0, tasks),
        PartName.METRIC_SERIES: max(0, _more(evidence, SERIES_TYPES)),
        PartName.DESCRIPTORS: descriptors,
    }


def _more(evidence: ProcessEvidence, types: Iterable[str]) -> int:
    return sum(evidence.objects_after.get(name, 0) - evidence.objects_before.get(name, 0) for name in types)


def _heaps(evidence: ProcessEvidence) -> tuple[int, int, int]:
    """Growth of Python objects, of what else `malloc` has handed out, and of what it keeps free."""
    before, after, traced = evidence.before, evidence.after, evidence.traced
    mean = traced.mean_small_bytes or USUAL_SMALL_BYTES
    small = max(0, round((after.python_blocks - before.python_blocks) * mean))
    if before.heap is None or after.heap is None:
        return small, 0, 0
    used = max(0, after.heap.used_bytes - before.heap.used_bytes)
    freed = after.heap.free_bytes - before.heap.free_bytes
    share = traced.python_share_of_heap
    if share is None:
        # Nobody can tell whose it is: it stays unexplained.
        return small, 0, freed
    return small + round(share * used), round((1 - share) * used), freed
