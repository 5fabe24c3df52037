"""`GET /memory`: what the guard sees, thinks and did."""

from typing import Literal

from app.guard.diagnosis.document import Diagnosis
from app.guard.guard import Guard
from app.guard.levels import Level
from app.guard.readers import Process, Sample
from app.guard.watch import LeakState, Watch
from app.models import Shape
from app.settings.model import Settings

# The state of the whole is that of the process that needs somebody most.
_URGENCY = (
    LeakState.WARMUP,
    LeakState.OK,
    LeakState.COOLDOWN,
    LeakState.SUSPECT,
    LeakState.LEAK,
    LeakState.INEFFECTIVE,
)


class ProcessView(Shape):
    """One process under watch; growth is that of its floors in the leak window, less what is explained."""

    name: str
    pid: int | None
    rss_bytes: int
    explained_bytes: dict[str, int]
    floor_bytes: int
    growth_bytes: int
    slope_bytes_per_hour: float
    state: LeakState
    actions_in_a_row: int
    cooldown_seconds_left: float | None


class StoreView(Shape):
    """The store's own figures, summed over its masters."""

    used_bytes: int
    rss_bytes: int
    limit_bytes: int | None
    fragmentation_ratio: float
    evicted_keys: int


class SampleView(Shape):
    """One past reading."""

    taken_ms: int
    rss_bytes: dict[str, int]
    pressure_bytes: int | None
    store_used_bytes: int | None


class MemoryView(Shape):
    """The whole document."""

    level: Level
    pressure_bytes: int | None
    limit_bytes: int | None
    refuses_ingest: bool
    state: LeakState
    guard: Literal["on", "blind"]
    blind_spots: list[str]
    growth_threshold_bytes: int
    processes: list[ProcessView]
    store: StoreView | None
    samples: list[SampleView]
    detections: list[Diagnosis]


def state_of(guard: Guard) -> LeakState:
    """The state of the process that needs somebody most."""
    return max((watch.state for watch in guard.watches.values()), key=_URGENCY.index)


def growth_bytes(guard: Guard) -> int:
    """The largest growth of a process within the leak window."""
    return max((watch.detector.growth_bytes for watch in guard.watches.values()), default=0)


def memory_view(guard: Guard, settings: Settings, detections: list[Diagnosis]) -> MemoryView:
    """Everything, from the latest sample."""
    latest = guard.latest
    return MemoryView(
        level=guard.level,
        pressure_bytes=latest.pressure_bytes if latest else None,
        limit_bytes=latest.limit_bytes if latest else None,
        refuses_ingest=guard.refuses_ingest,
        state=state_of(guard),
        guard="blind" if guard.blind_spots else "on",
        blind_spots=guard.blind_spots,
        growth_threshold_bytes=settings.leak_growth_bytes,
        processes=[
            _process_view(guard.watches[process.name], process, latest.at_seconds)
            for process in (latest.processes.values() if latest else ())
            if latest and process.name in guard.watches
        ],
        store=_store_view(latest) if latest else None,
        samples=[_sample_view(sample) for sample in guard.samples],
        detections=detections,
    )


def _process_view(watch: Watch, process: Process, now_seconds: float) -> ProcessView:
    detector, ends = watch.detector, watch.cooldown_ends
    return ProcessView(
        name=process.name,
        pid=process.pid,
        rss_bytes=process.rss_bytes,
        explained_bytes=process.explained_bytes,
        floor_bytes=detector.floor_bytes,
        growth_bytes=detector.growth_bytes,
        slope_bytes_per_hour=detector.slope_bytes_per_hour,
        state=watch.state,
        actions_in_a_row=watch.actions_in_a_row,
        cooldown_seconds_left=None if ends is None else max(0.0, ends - now_seconds),
    )


def _store_view(sample: Sample) -> StoreView | None:
    store = sample.store
    if store is None:
        return None
    return StoreView(
        used_bytes=store.used_bytes,
        rss_bytes=store.rss_bytes,
        limit_bytes=store.limit_bytes,
        fragmentation_ratio=store.fragmentation_ratio,
        evicted_keys=store.evicted_keys,
    )


def _sample_view(sample: Sample) -> SampleView:
    return SampleView(
        taken_ms=sample.taken_ms,
        rss_bytes={name: process.rss_bytes for name, process in sample.processes.items()},
        pressure_bytes=sample.pressure_bytes,
        store_used_bytes=sample.store.used_bytes if sample.store else None,
    )
