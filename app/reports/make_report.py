"""Makes a report of a period from the history of all gates that share the store."""

import asyncio
from collections.abc import Callable, Sequence

from app.errors import Overloaded
from app.models import MapName, TransactionOutcome
from app.reports.fold import Fold, GateFold, Track
from app.reports.maps_over_period import MapFold
from app.reports.period import MINUTE_MS, Period, day_period, recent_period
from app.reports.read_history import read_history
from app.reports.report_document import (
    CleanupReport,
    EventView,
    GateReport,
    LatencyReport,
    MapReport,
    ProcessReport,
    ProcessRun,
    ReportDocument,
    SlopeView,
    TrafficReport,
)
from app.reports.samples import REASONS
from app.reports.targets import Judged, judge, worst
from app.reports.trends import Trend, lines, trend_of
from app.reports.work_over_period import WorkFold
from app.store.history import StoredSamples

MOST_RUNS = 20
MOST_WAITING = 8
NOT_TAKEN = (TransactionOutcome.INVALID, TransactionOutcome.REFUSED, TransactionOutcome.FAILED)


class Reports:
    """Reads the store and makes one report at a time."""

    def __init__(
        self,
        stored: StoredSamples,
        warmup_seconds: Callable[[], float],
        wall_ms: Callable[[], int],
        version: str,
    ) -> None:
        self._stored = stored
        self._warmup_seconds = warmup_seconds
        self._wall_ms = wall_ms
        self._version = version
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0

    async def daily(self, day: str | None) -> ReportDocument:
        """Report on a day in UTC, given as `YYYY-MM-DD`; None is today.

        Raises:
            InvalidRequest: it is no date, or lies in the future.
            StoreError: the history could not be read.
            Overloaded: others wait for theirs already.
        """
        return await self._report(day_period(day, self._wall_ms()))

    async def recent(self, hours: int) -> ReportDocument:
        """Report on the last hours.

        Raises:
            StoreError: the history could not be read.
            Overloaded: others wait for theirs already.
        """
        return await self._report(recent_period(hours, self._wall_ms()))

    async def _report(self, period: Period) -> ReportDocument:
        if self._waiting >= MOST_WAITING:
            raise Overloaded(f"{MOST_WAITING} reports are being made already")
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                warmup = self._warmup_seconds()
                fold = await read_history(self._stored, period, warmup)
                return await asyncio.to_thread(make_report, fold, warmup, self._wall_ms(), self._version)
        finally:
            self._waiting -= 1


def make_report(fold: Fold, warmup_seconds: float, made_ms: int, version: str) -> ReportDocument:
    """Return the report of what was folded; it takes milliseconds for each run of a process."""
    period, grouped = fold.period, _grouped(fold.finished_tracks())
    trends = {key: [trend_of(track, warmup_seconds) for track in tracks] for key, tracks in grouped.items()}
    judged = [Judged(_title(*key), [t for t in trends[key] if t is not None]) for key in grouped]
    targets = judge(fold, judged)
    return ReportDocument(
        from_ms=period.from_ms,
        to_ms=period.to_ms,
        plot_from_ms=period.plot_from_ms,
        day=period.day,
        made_ms=made_ms,
        version=version,
        status=worst([target.status for target in targets]),
        warmup_seconds=warmup_seconds,
        block_seconds=period.block_ms // 1000,
        unusable_samples=fold.unusable,
        targets=targets,
        gates=[_gate(gate) for gate in sorted(fold.gates, key=lambda gate: gate.name)],
        processes=[_process(key, tracks, trends[key], period) for key, tracks in grouped.items()],
        maps={name: _map(one, period) for name, one in fold.maps.maps.items() if one.last is not None},
        traffic=_traffic(fold.work),
        latency=_latency(fold.work),
        cleanup=_cleanup(fold),
        events=[
            EventView(at_ms=event.at_ms, gate=event.gate, kind=event.kind, text=event.text)
            for event in fold.latest_events()
        ],
    )


Key = tuple[str | None, str]


def _grouped(tracks: Sequence[Track]) -> dict[Key, list[Track]]:
    groups: dict[Key, list[Track]] = {}
    for track in sorted(tracks, key=lambda track: (track.gate or "~", track.process, track.at_ms[0])):
        groups.setdefault((track.gate, track.process), []).append(track)
    return groups


def _title(gate: str | None, process: str) -> str:
    return f"{process} of {gate}" if gate else f"the shared {process}"


def _process(
    key: Key, tracks: Sequence[Track], trends: Sequence[Trend | None], period: Period
) -> ProcessReport:
    readings = [rss for track in tracks for rss in track.rss_bytes]
    fastest = max((trend for trend in trends if trend), key=lambda trend: trend.slope.value, default=None)
    runs = [_run(track, trend) for track, trend in zip(tracks, trends, strict=True)]
    return ProcessReport(
        gate=key[0],
        process=key[1],
        first_bytes=tracks[0].rss_bytes[0],
        last_bytes=tracks[-1].rss_bytes[-1],
        min_bytes=min(readings),
        max_bytes=max(readings),
        slope_mb_per_hour=_slope(fastest),
        runs_total=len(runs),
        runs=runs[-MOST_RUNS:],
        points=sorted(point for track in tracks for point in lines(track, period)),
    )


def _run(track: Track, trend: Trend | None) -> ProcessRun:
    return ProcessRun(
        pid=track.pid,
        first_ms=min(track.at_ms),
        last_ms=max(track.at_ms),
        slope_mb_per_hour=_slope(trend),
        slope_hours=trend.hours if trend else None,
        growth_mb=trend.growth if trend else None,
    )


def _slope(trend: Trend | None) -> SlopeView | None:
    if trend is None:
        return None
    return SlopeView(value=trend.slope.value, low=trend.slope.low, high=trend.slope.high)


def _map(one: MapFold, period: Period) -> MapReport:
    blocks, last = one.blocks, one.last
    return MapReport(
        min_entries=min(block.least_entries for block in blocks.values()),
        max_entries=max(block.most_entries for block in blocks.values()),
        last_entries=last.entries if last else 0,
        warn_entries=one.warn_entries,
        max_bytes=max(block.most_bytes for block in blocks.values()),
        last_bytes=last.bytes if last else 0,
        added=one.added,
        removed=dict(zip(REASONS, one.removed, strict=True)),
        points=[
            (
                period.block_ms_of(at),
                blocks[at].least_entries,
                blocks[at].most_entries,
                blocks[at].most_bytes,
            )
            for at in sorted(blocks)
        ],
    )


def _gate(gate: GateFold) -> GateReport:
    minutes = gate.last_ms // MINUTE_MS - gate.first_ms // MINUTE_MS + 1
    return GateReport(
        name=gate.name,
        first_ms=gate.first_ms,
        last_ms=gate.last_ms,
        samples=gate.samples,
        missing_minutes=minutes - len(gate.minutes),
        restarts=gate.restarts,
        cleanup_runs={"normal": gate.normal_runs, "emergency": gate.emergency_runs},
        leak_detections=gate.leak_detections,
        pressure_minutes=gate.pressure_minutes,
        limit_bytes=gate.limit_bytes,
    )


def _traffic(work: WorkFold) -> TrafficReport:
    return TrafficReport(
        transactions=dict(zip(TransactionOutcome, work.whole.transactions, strict=True)),
        points=[
            (
                at_ms,
                round(done.a_second(TransactionOutcome.ACCEPTED), 3),
                round(done.a_second(TransactionOutcome.DUPLICATE), 3),
                round(done.a_second(*NOT_TAKEN), 3),
            )
            for at_ms, done in work.blocks()
        ],
    )


def _latency(work: WorkFold) -> LatencyReport:
    return LatencyReport(
        requests=sum(work.whole.latencies),
        p50_seconds=work.whole.latency(0.5),
        p99_seconds=work.whole.latency(0.99),
        points=[
            (at_ms, p50, p99)
            for at_ms, done in work.blocks()
            if (p50 := done.latency(0.5)) is not None and (p99 := done.latency(0.99)) is not None
        ],
    )


def _cleanup(fold: Fold) -> CleanupReport:
    due, on_time = (sum(getattr(fold.maps.maps[name], of) for name in MapName) for of in ("due", "on_time"))
    return CleanupReport(
        efficiency_ratio=on_time / due if due else None,
        due=due,
        on_time=on_time,
        runs={
            "normal": sum(gate.normal_runs for gate in fold.gates),
            "emergency": sum(gate.emergency_runs for gate in fold.gates),
        },
        mean_seconds=fold.work.whole.mean_cleanup_seconds,
        points=[
            (at_ms, mean)
            for at_ms, done in fold.work.blocks()
            if (mean := done.mean_cleanup_seconds) is not None
        ],
    )
