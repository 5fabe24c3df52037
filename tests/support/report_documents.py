"""A report document to show, made without a store."""

from app.models import MapName, Reason, TransactionOutcome
from app.reports.report_document import (
    CleanupReport,
    EventView,
    GateReport,
    LatencyReport,
    MapReport,
    Outcome,
    ProcessReport,
    ProcessRun,
    ReportDocument,
    SlopeView,
    Target,
    TrafficReport,
)
from tests.support.recording_gates import MB, NOON_MS

MINUTE_MS = 60_000
MINUTES = 240
GAP = range(100, 130)


def document(gate: str = "host-a:8000", **changes: object) -> ReportDocument:
    """Four hours of one gate and its store: a gap of half an hour, an emergency, a target that failed."""
    times = [NOON_MS + minute * MINUTE_MS for minute in range(MINUTES) if minute not in GAP]
    made = ReportDocument(
        from_ms=NOON_MS,
        to_ms=NOON_MS + MINUTES * MINUTE_MS,
        plot_from_ms=NOON_MS,
        day=None,
        made_ms=NOON_MS + MINUTES * MINUTE_MS,
        version="1.2.3",
        status=Outcome.FAIL,
        warmup_seconds=1800,
        block_seconds=60,
        unusable_samples=0,
        targets=[
            _target("rss_growth", Outcome.PASS, 0.25, 10, "MB/h"),
            _target("cleanup_efficiency", Outcome.UNKNOWN, None, 0.9, "ratio"),
            _target("emergency_runs", Outcome.FAIL, 1, 0, "count"),
        ],
        gates=[_gate(gate, times)],
        processes=[_process(gate, "gate", 60 * MB, times), _process(gate, "store", 20 * MB, times)],
        maps={name: _map(times) for name in MapName},
        traffic=TrafficReport(
            transactions=dict.fromkeys(TransactionOutcome, 7000),
            points=[(at, 100 + number % 9, 40, number / 100) for number, at in enumerate(times)],
        ),
        latency=LatencyReport(
            requests=1234,
            p50_seconds=0.0021,
            p99_seconds=0.0345,
            points=[(at, 0.002, 0.03 + number / 10_000) for number, at in enumerate(times)],
        ),
        cleanup=CleanupReport(
            efficiency_ratio=None,
            due=0,
            on_time=0,
            runs={"normal": 2, "emergency": 1},
            mean_seconds=0.0051,
            points=[(at, 0.005) for at in times],
        ),
        events=[
            EventView(at_ms=times[60], gate=gate, kind="emergency", text="emergency cleanup"),
            EventView(at_ms=times[120], gate=gate, kind="restart", text="the gate was started again"),
        ],
    )
    return made.model_copy(update=changes)


def _target(name: str, status: Outcome, value: float | None, limit: float, unit: str) -> Target:
    return Target(
        name=name,
        title=f"Title of {name}",
        status=status,
        value=value,
        limit=limit,
        unit=unit,
        sentence=f"Sentence on {name}.",
    )


def _gate(name: str, times: list[int]) -> GateReport:
    return GateReport(
        name=name,
        first_ms=times[0],
        last_ms=times[-1],
        samples=len(times),
        missing_minutes=len(GAP),
        restarts=1,
        cleanup_runs={"normal": 2, "emergency": 1},
        leak_detections={},
        pressure_minutes={"soft": 0, "hard": 0},
        limit_bytes=100 * MB,
    )


def _process(gate: str, name: str, level: int, times: list[int]) -> ProcessReport:
    slope = SlopeView(value=0.25, low=0.1, high=0.4)
    run = ProcessRun(
        pid=1, first_ms=times[0], last_ms=times[-1], slope_mb_per_hour=slope, slope_hours=3.5, growth_mb=1.0
    )
    return ProcessReport(
        gate=gate,
        process=name,
        first_bytes=level,
        last_bytes=level + MB,
        min_bytes=level,
        max_bytes=level + 5 * MB,
        slope_mb_per_hour=slope,
        runs_total=1,
        runs=[run],
        points=[(at, level + number * 4000, level + 5 * MB) for number, at in enumerate(times)],
    )


def _map(times: list[int]) -> MapReport:
    return MapReport(
        min_entries=0,
        max_entries=5000,
        last_entries=4000,
        warn_entries=6000,
        max_bytes=90_000,
        last_bytes=80_000,
        added=1_000_000,
        removed=dict.fromkeys(Reason, 7),
        points=[(at, 1000, 4000 + number, 90_000) for number, at in enumerate(times)],
    )
