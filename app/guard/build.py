"""Puts the guard together for a running gate: what it reads, and what it can do."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec

from app.cleanup.run import Cleanup
from app.guard.actions import Actions
from app.guard.diagnosis.document import Diagnosis
from app.guard.diagnosis.examination import ProvenLeak
from app.guard.diagnosis.examiner import Examiner
from app.guard.diagnosis.examiner import Readers as ExaminerReaders
from app.guard.diagnosis.figures import ProcessReader
from app.guard.diagnosis.reading import StoreReader
from app.guard.diagnosis.store import store_explained_bytes
from app.guard.guard import Clock, Guard
from app.guard.readers import Readers
from app.metrics.catalogue import Metrics
from app.models import Mode, Trigger
from app.process.control_groups import Cgroup, find_cgroup
from app.process.resident_memory import Processes
from app.server.connections import ClientConnections
from app.settings.model import Settings
from app.store.figures import Sizes
from app.store.lease import StoreLease
from app.store.session import StoreSession
from app.workers.pool.pool import Workers


@dataclass(frozen=True)
class Surroundings:
    """What the guard needs of the gate; `in_flight` bytes are those of bodies and of queued transactions."""

    settings: Callable[[], Settings]
    processes: Processes
    session: StoreSession
    sizes: Sizes
    cleanup: Cleanup
    metrics: Metrics
    connections: ClientConnections
    in_flight: Callable[[], int]
    trim_store: Callable[[], Awaitable[None]]
    lease: StoreLease
    workers: Workers | None = None


def build_examiner(around: Surroundings) -> Examiner:
    """An examiner of this process and its store, and of workers with their help."""
    gate = ProcessReader(lambda: _bytes_of("gate", around), around.in_flight, lambda: len(around.connections))
    store = StoreReader(around.session, around.sizes, lambda: _bytes_of("store", around))
    readers = ExaminerReaders(gate, store.read, Clock().wall_ms, lambda leak: _examined_worker(leak, around))
    return Examiner(around.settings, readers)


async def _examined_worker(leak: ProvenLeak, around: Surroundings) -> Diagnosis | None:
    if around.workers is None:
        return None
    answer = await around.workers.examine(leak.process, msgspec.json.encode(leak))
    return Diagnosis.model_validate_json(answer) if answer else None


def build_guard(around: Surroundings, examiner: Examiner) -> Guard:
    """A guard that reads this machine."""
    cgroup = find_cgroup()
    readers = Readers(
        resident=lambda: _resident(around),
        explained=lambda: _explained(around),
        limit=lambda: _limit_bytes(around.settings(), cgroup),
        usage=lambda: _usage_bytes(around, cgroup),
        store=lambda: around.sizes.store,
    )
    actions = Actions(
        around.metrics,
        resident_bytes=lambda process: _bytes_of(process, around),
        emergency_cleanup=lambda shed: around.cleanup.run(Trigger.EMERGENCY, Mode.EMERGENCY, shed=shed),
        trim_store=around.trim_store,
        shrink=around.connections.drop_idle,
    )
    lease = around.lease.take
    guard = Guard(around.settings, readers, actions, examiner.examine, around.metrics, lease=lease)
    if around.workers is not None:
        guard.publish, actions.in_worker = around.workers.publish, around.workers.free_memory
    return guard


def _resident(around: Surroundings) -> Mapping[str, tuple[int | None, float]]:
    """Of a store that is not ours, what it uses by its own figures: its process may be on another machine."""
    found: dict[str, tuple[int | None, float]] = dict(around.processes.read())
    if "store" not in found and around.sizes.store is not None:
        found["store"] = (None, around.sizes.store.used_bytes)
    return found


def _bytes_of(process: str, around: Surroundings) -> int:
    return round(_resident(around).get(process, (None, 0))[1])


def _explained(around: Surroundings) -> dict[str, dict[str, int]]:
    server = around.session.server
    maps = store_explained_bytes(around.sizes.maps, server.name if server else "valkey")
    workers = around.workers.in_flight_bytes() if around.workers else {}
    in_flight = {"gate": around.in_flight(), **workers}
    return {**{name: {"in_flight": held} for name, held in in_flight.items()}, "store": {"maps": maps}}


def _limit_bytes(settings: Settings, cgroup: Cgroup | None) -> int | None:
    return settings.memory_limit_bytes or (cgroup.limit_bytes if cgroup else None)


def _usage_bytes(around: Surroundings, cgroup: Cgroup | None) -> float:
    """A limit of the group is compared with what counts against it; one by setting with our processes."""
    if cgroup is not None and around.settings().memory_limit_bytes is None:
        return cgroup.usage_bytes()
    return around.processes.total_bytes()
