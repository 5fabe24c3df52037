"""What the plots of a report show: memory of each gate, traffic, latency, cleanups, and the maps."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

from app.cli.report.formatted_figures import moment
from app.cli.report.plot_svg import Line, Mark, Plot
from app.models import MapName
from app.reports.report_document import EventView, MapReport, ProcessReport, ReportDocument
from app.reports.trends import MEGABYTE

HOUR_MS = 3_600_000
COLOURS = 4


def memory_plots(document: ReportDocument) -> Iterator[Plot]:
    """Yield one plot a gate, with the processes of its own, and one of a shared store."""
    owners = list(dict.fromkeys(process.gate for process in document.processes))
    for gate in owners:
        own = [process for process in document.processes if process.gate == gate]
        yield Plot(
            title=f"Resident memory of {gate}" if gate else "Resident memory of the shared store",
            unit="MB",
            from_ms=document.plot_from_ms,
            to_ms=document.to_ms,
            block_ms=document.block_seconds * 1000,
            lines=[
                *(_memory_line(process, f"c{at % COLOURS}") for at, process in enumerate(own)),
                *_together(own),
            ],
            marks=_marks(document.events, gate),
            limit=_memory_limit(document, gate),
        )


def work_plots(document: ReportDocument) -> Iterator[Plot]:
    """Yield the plots of what the gates did: transactions a second, how long posts took, and cleanups."""
    traffic, latency = document.traffic.points, document.latency.points
    outcomes = [
        Line(label, style, [(float(point[0]), point[at], point[at]) for point in traffic])
        for at, label, style in ((1, "accepted", "c2"), (2, "duplicate", "c0"), (3, "not taken", "c1"))
    ]
    within = [
        Line(label, style, [(float(point[0]), 1000 * point[at], 1000 * point[at]) for point in latency])
        for at, label, style in ((1, "half within", "c2"), (2, "99 % within", "c3"))
    ]
    means = [(float(at), 1000 * mean, 1000 * mean) for at, mean in document.cleanup.points]
    plot = _small_plot(document, "Transactions a second", "", outcomes)
    yield replace(plot, marks=_marks(document.events, None))
    yield _small_plot(document, "From a post to its answer, ms", "ms", within)
    yield _small_plot(document, "Time of a cleanup, ms", "ms", [Line("mean", "c0", means)])


def map_plots(document: ReportDocument, name: MapName, one: MapReport) -> tuple[Plot, Plot]:
    """Return the plots of a map's entries and of its bytes."""
    colour = f"c{list(MapName).index(name)}"
    entries = [(float(at), float(least), float(most)) for at, least, most, _ in one.points]
    sizes = [(float(at), size / MEGABYTE, size / MEGABYTE) for at, _, _, size in one.points]
    warning = (float(one.warn_entries), f"warning size {one.warn_entries:,}")
    return (
        _small_plot(document, f"{name}, entries", "", [Line(name, colour, entries)], warning),
        _small_plot(document, f"{name}, MB", "MB", [Line(name, colour, sizes)]),
    )


def _small_plot(
    document: ReportDocument,
    title: str,
    unit: str,
    plotted: Sequence[Line],
    limit: tuple[float, str] | None = None,
) -> Plot:
    return Plot(
        title=title,
        unit=unit,
        from_ms=document.plot_from_ms,
        to_ms=document.to_ms,
        block_ms=document.block_seconds * 1000,
        lines=plotted,
        limit=limit,
        width=460,
        height=190,
    )


def _together(processes: Sequence[ProcessReport]) -> Iterator[Line]:
    """Yield the line of what several processes hold together, which is what the limit is for."""
    if len(processes) < 2:  # noqa: PLR2004  of one there is its own line
        return
    sums: dict[int, tuple[int, int, int]] = {}
    for at, least, most in (point for process in processes for point in process.points):
        count, least_sum, most_sum = sums.get(at, (0, 0, 0))
        sums[at] = (count + 1, least_sum + least, most_sum + most)
    points = [
        (float(at), least / MEGABYTE, most / MEGABYTE)
        for at, (count, least, most) in sorted(sums.items())
        if count == len(processes)
    ]
    yield Line("together", "soft", points)


def _memory_limit(document: ReportDocument, gate: str | None) -> tuple[float, str] | None:
    limits = [one.limit_bytes for one in document.gates if one.name == gate and one.limit_bytes]
    if not limits:
        return None
    return limits[0] / MEGABYTE, f"memory limit {limits[0] / MEGABYTE:,.0f} MB"


def _memory_line(process: ProcessReport, colour: str) -> Line:
    points = [(float(at), least / MEGABYTE, most / MEGABYTE) for at, least, most in process.points]
    return Line(process.process, colour, points, _trend_line(process, points))


def _trend_line(
    process: ProcessReport, points: Sequence[tuple[float, float, float]]
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Lay the slope of the latest run that has one through the middle of its readings after warm-up."""
    runs = [run for run in process.runs if run.slope_mb_per_hour and run.slope_hours]
    if not runs or not runs[-1].slope_mb_per_hour or not runs[-1].slope_hours:
        return None
    slope, to_ms = runs[-1].slope_mb_per_hour.value, runs[-1].last_ms
    from_ms = to_ms - runs[-1].slope_hours * HOUR_MS
    offsets = [least - slope * (at - from_ms) / HOUR_MS for at, least, _ in points if from_ms <= at <= to_ms]
    if not offsets:
        return None
    start = median(offsets)
    return (from_ms, max(0.0, start)), (to_ms, max(0.0, start + slope * runs[-1].slope_hours))


def _marks(events: Sequence[EventView], gate: str | None) -> list[Mark]:
    return [
        Mark(event.at_ms, event.kind, f"{moment(event.at_ms)} UTC: {event.text}")
        for event in events
        if gate in (None, event.gate) and event.kind.isidentifier()
    ]
