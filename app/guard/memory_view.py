"""The document of `GET /memory`: pressure, every process under watch, past readings and past diagnoses."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from app.guard.diagnosis.diagnosis import Diagnosis
from app.guard.leak.finding import LeakState
from app.guard.memory_limit import LimitSource
from app.guard.memory_reading import MemoryReading, ProcessReading
from app.guard.status import GuardStatus, Level, ProcessStatus
from app.models import JsonModel
from app.settings.model import Settings


class ProcessView(JsonModel):
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


class StoreView(JsonModel):
    """The store's own figures, summed over its masters."""

    used_bytes: int
    rss_bytes: int
    limit_bytes: int | None
    fragmentation_ratio: float
    evicted_keys: int = Field(description="Keys evicted since this gate first looked.")


class SampleView(JsonModel):
    """One past reading."""

    taken_ms: int
    rss_bytes: dict[str, int]
    pressure_bytes: int | None
    store_used_bytes: int | None


class MemoryView(JsonModel):
    """The whole document."""

    level: Level
    pressure_bytes: int | None
    limit_bytes: int | None
    limit_source: LimitSource | None
    refuses_ingest: bool
    state: LeakState
    guard: Literal["on", "blind"]
    blind_spots: list[str]
    growth_threshold_bytes: int
    processes: list[ProcessView]
    store: StoreView | None
    samples: list[SampleView]
    detections: list[Diagnosis]


def memory_view(
    status: GuardStatus, past: Iterable[MemoryReading], settings: Settings, detections: list[Diagnosis]
) -> MemoryView:
    """Make the document of what the guard says of itself, of past readings and of diagnoses."""
    latest = status.latest
    return MemoryView(
        level=status.level,
        pressure_bytes=latest.pressure_bytes if latest else None,
        limit_bytes=latest.limit_bytes if latest else None,
        limit_source=latest.limit_source if latest else None,
        refuses_ingest=status.refuses_ingest,
        state=status.state,
        guard="blind" if status.blind_spots else "on",
        blind_spots=status.blind_spots,
        growth_threshold_bytes=settings.leak_growth_bytes,
        processes=[
            _process_view(status.processes[process.name], process, latest.at_seconds)
            for process in (latest.processes.values() if latest else ())
            if latest and process.name in status.processes
        ],
        store=StoreView.model_validate(latest.store, from_attributes=True)
        if latest and latest.store
        else None,
        samples=[_sample_view(reading) for reading in past],
        detections=detections,
    )


def _process_view(status: ProcessStatus, reading: ProcessReading, now_seconds: float) -> ProcessView:
    ends = status.cooldown_ends_seconds
    left = None if ends is None else max(0.0, ends - now_seconds)
    return ProcessView.model_validate({**vars(reading), **vars(status), "cooldown_seconds_left": left})


def _sample_view(reading: MemoryReading) -> SampleView:
    return SampleView(
        taken_ms=reading.taken_ms,
        rss_bytes={name: process.rss_bytes for name, process in reading.processes.items()},
        pressure_bytes=reading.pressure_bytes,
        store_used_bytes=reading.store.used_bytes if reading.store else None,
    )
