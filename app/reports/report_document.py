"""Defines the JSON of a report, in which MB are 1,000,000 bytes."""

from enum import StrEnum

from pydantic import Field

from app.models import JsonModel, MapName, Reason, TransactionOutcome


class Outcome(StrEnum):
    """The outcome of a target; `unknown` when there is too little to judge by."""

    PASS = "pass"  # noqa: S105  not a password
    FAIL = "fail"
    UNKNOWN = "unknown"


class Target(JsonModel):
    """One success target: what was measured, what is allowed, and a sentence on it."""

    name: str
    title: str
    status: Outcome
    value: float | None
    limit: float
    unit: str
    sentence: str


class SlopeView(JsonModel):
    """A slope in MB an hour, with the bounds of its 95 % confidence interval."""

    value: float
    low: float
    high: float


class ProcessRun(JsonModel):
    """A process from its start to its end, within the period; no slope if it was too short after warm-up."""

    pid: int | None
    first_ms: int
    last_ms: int
    slope_mb_per_hour: SlopeView | None
    slope_hours: float | None
    growth_mb: float | None


class ProcessReport(JsonModel):
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


class MapReport(JsonModel):
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


class TrafficReport(JsonModel):
    """Transactions of all gates by what became of them.

    `points` are [milliseconds, accepted, duplicate, not taken]: a second, and of invalid, refused and failed
    ones together.
    """

    transactions: dict[TransactionOutcome, int]
    points: list[tuple[int, float, float, float]]


class LatencyReport(JsonModel):
    """Seconds from the last of a post of transactions to its answer; `points` are [milliseconds, p50, p99].

    The quantiles are estimated from the histogram of `tidegate_http_request_duration_seconds`.
    """

    requests: int
    p50_seconds: float | None
    p99_seconds: float | None
    points: list[tuple[int, float, float]]


class GateReport(JsonModel):
    """One gate: what is known of it in the period, and what happened to it; its latest memory limit."""

    name: str
    first_ms: int
    last_ms: int
    samples: int
    missing_minutes: int
    restarts: int
    cleanup_runs: dict[str, int]
    leak_detections: dict[str, int]
    pressure_minutes: dict[str, int]
    limit_bytes: int | None


class EventView(JsonModel):
    """Something that stands out: restart, store_restart, worker_restart, emergency, leak or pressure."""

    at_ms: int
    gate: str
    kind: str
    text: str


class CleanupReport(JsonModel):
    """The entries that came due, how many of them went as `expired` in time, and all gates' runs by mode.

    `points` are [milliseconds, mean seconds of a run].
    """

    efficiency_ratio: float | None
    due: int
    on_time: int
    runs: dict[str, int]
    mean_seconds: float | None
    points: list[tuple[int, float]]


class ReportDocument(JsonModel):
    """The whole report; `status` is the worst of its targets, and plots begin at `plot_from_ms`."""

    from_ms: int
    to_ms: int
    plot_from_ms: int
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
    traffic: TrafficReport
    latency: LatencyReport
    cleanup: CleanupReport
    events: list[EventView]
