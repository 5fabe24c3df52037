"""What the plots of a report show: the memory of each gate, and the entries and bytes of each map."""

from collections.abc import Iterator, Sequence
from statistics import median

from app.cli.report.figures import moment
from app.cli.report.plot_svg import Line, Mark, Plot
from app.models import MapName
from app.reports.document import EventView, MapReport, ProcessReport, ReportDocument
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
            from_ms=document.from_ms,
            to_ms=document.to_ms,
            block_ms=document.block_seconds * 1000,
            lines=[_memory_line(process, f"c{at % COLOURS}") for at, process in enumerate(own)],
            marks=_marks(document.events, gate),
        )


def map_plots(document: ReportDocument, name: MapName, one: MapReport) -> tuple[Plot, Plot]:
    """Return the plots of a map's entries and of its bytes."""
    colour = f"c{list(MapName).index(name)}"
    entries = [(float(at), float(least), float(most)) for at, least, most, _ in one.points]
    sizes = [(float(at), size / MEGABYTE, size / MEGABYTE) for at, _, _, size in one.points]
    warning = (float(one.warn_entries), f"warning size {one.warn_entries:,}")
    return (
        _map_plot(document, f"{name}, entries", "", Line(name, colour, entries), warning),
        _map_plot(document, f"{name}, MB", "MB", Line(name, colour, sizes), None),
    )


def _map_plot(
    document: ReportDocument, title: str, unit: str, line: Line, limit: tuple[float, str] | None
) -> Plot:
    return Plot(
        title=title,
        unit=unit,
        from_ms=document.from_ms,
        to_ms=document.to_ms,
        block_ms=document.block_seconds * 1000,
        lines=[line],
        limit=limit,
        width=460,
        height=190,
    )


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
