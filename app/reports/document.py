"""Defines the JSON of a report, in which MB are 1,000,000 bytes."""

from enum import StrEnum

from pydantic import Field

from app.models import MapName, Reason, Shape


class Outcome(StrEnum):
    """The outcome of a target; `unknown` when there is too little to judge by."""

    PASS = "pass"  # noqa: S105  not a password
    FAIL = "fail"
    UNKNOWN = "unknown"


class Target(Shape):
    """One success target: what was measured, what is allowed, and a sentence on it."""

    name: str
    title: str
    status: Outcome
    value: float | None
    limit: float
    unit: str
    sentence: str


class SlopeView(Shape):
    """A slope in MB an hour, with the bounds of its 95 % confidence interval."""

    value: float
    low: float
    high: float


class ProcessRun(Shape):
    """A process from its start to its end, within the period; no slope if it was too short after warm-up."""

    pid: int | None
    first_ms: int
    last_ms: int
    slope_mb_per_hour: SlopeView | None
    slope_hours: float | None
    growth_mb: float | None


class ProcessReport(Shape):
    """Resident bytes of a process; `gate` is null for a store that is shared.

    The slope is that of the run that grew fastest. `points` are [milliseconds, least, most] bytes.
    """

    gate: str | None
    process: str
    first_bytes: int
    last_bytes: int
    min_bytes: int
    max_bytes: int
    slope_mb_per_hour: SlopeView | None
    runs_total: int
    runs: list[ProcessRun] = Field(description="The latest 20.")
    points: list[tuple[int, int, int]]


class MapReport(Shape):
    """A map over the period; `points` are [milliseconds, least entries, most entries, most bytes]."""

    min_entries: int
    max_entries: int
    last_entries: int
    warn_entries: int
    max_bytes: int
    last_bytes: int
    added: int
    removed: dict[Reason, int]
    points: list[tuple[int, int, int, int]]


class GateReport(Shape):
    """One gate: what is known of it in the period, and what happened to it."""

    name: str
    first_ms: int
    last_ms: int
    samples: int
    missing_minutes: int
    restarts: int
    cleanup_runs: dict[str, int]
    leak_detections: dict[str, int]
    pressure_minutes: dict[str, int]


class EventView(Shape):
    """Something that stands out: restart, store_restart, worker_restart, emergency, leak or pressure."""

    at_ms: int
    gate: str
    kind: str
    text: str


class CleanupReport(Shape):
    """The entries that came due, how many of them went as `expired` in time, and all gates' runs by mode."""

    efficiency_ratio: float | None
    due: int
    on_time: int
    runs: dict[str, int]


class ReportDocument(Shape):
    """The whole report; `status` is the worst of its targets."""

    from_ms: int
    to_ms: int
    day: str | None
    made_ms: int
    version: str
    status: Outcome
    warmup_seconds: float
    block_seconds: int
    unusable_samples: int
    targets: list[Target]
    gates: list[GateReport]
    processes: list[ProcessReport]
    maps: dict[MapName, MapReport]
    cleanup: CleanupReport
    events: list[EventView]
