"""A report as one HTML page that needs nothing else: no script, no font, no request."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from app.reports.document import ReportDocument, Target
from app.reports.figures import (
    amount_text,
    interval_text,
    map_plots,
    megabytes,
    memory_plots,
    moment,
    owner,
    period_text,
    slope_text,
)
from app.reports.plot import Plot, svg
from app.reports.style import STYLE

# Whatever a name of a gate might hold, the browser fetches and runs nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
SIGNS = {"pass": "✓ pass", "fail": "✗ fail", "unknown": "? unknown"}
MOST_EVENTS = 50


def page(document: ReportDocument) -> str:
    """The whole page."""
    return "\n".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Tidegate report, {escape(document.day or period_text(document))}</title>",
            f"<style>{STYLE}</style></head><body><main>",
            *_header(document),
            *_tiles(document),
            *_targets(document),
            *_memory(document),
            *_maps(document),
            *_gates(document),
            *_events(document),
            *_notes(document),
            "</main></body></html>\n",
        )
    )


def _header(document: ReportDocument) -> Iterator[str]:
    what = f"Report of {document.day}" if document.day else "Report of the last hours"
    yield f"<header><div><h1>Tidegate · {escape(what)}</h1>"
    yield f'<p class="soft">{period_text(document)} · Tidegate {escape(document.version)}</p></div>'
    yield f'<span class="status verdict {document.status}">{SIGNS[document.status]}</span></header>'


def _tiles(document: ReportDocument) -> Iterator[str]:
    yield '<div class="tiles">'
    titles = {
        "rss_growth": "fastest growth after warm-up",
        "cleanup_efficiency": "of due entries removed in time",
        "leaks": "leaks detected",
        "emergency_runs": "emergency cleanups",
    }
    for target in document.targets:
        if target.name in titles:
            yield f'<div class="tile"><b class="{target.status}">{_amount(target, target.value)}</b>'
            yield f'<span class="soft small">{titles[target.name]}</span></div>'
    yield "</div>"


def _targets(document: ReportDocument) -> Iterator[str]:
    rows = (
        (
            f'<span class="status {target.status}">{SIGNS[target.status]}</span>',
            f'<b>{escape(target.title)}</b><br><span class="soft small">{escape(target.sentence)}</span>',
            _amount(target, target.value),
            _amount(target, target.limit),
        )
        for target in document.targets
    )
    yield "<section><h2>Targets</h2>"
    yield _table(("", "target", "#measured", "#limit"), rows)
    yield "</section>"


def _memory(document: ReportDocument) -> Iterator[str]:
    yield "<section><h2>Memory</h2>"
    for plot in memory_plots(document):
        yield _figure(plot)
    rows = (
        (
            f"{escape(process.process)} <span class='soft'>{escape(owner(process))}</span>",
            megabytes(process.first_bytes),
            megabytes(process.last_bytes),
            megabytes(process.min_bytes),
            megabytes(process.max_bytes),
            f"<b>{slope_text(process.slope_mb_per_hour)}</b>",
            interval_text(process.slope_mb_per_hour),
            str(process.runs_total),
        )
        for process in document.processes
    )
    heads = ("process", "#first", "#last", "#min", "#max", "#slope, MB/h", "#95 % interval", "#runs")
    yield _table(heads, rows)
    yield "</section>"


def _maps(document: ReportDocument) -> Iterator[str]:
    yield '<section><h2>Maps</h2><div class="grid2">'
    for name, one in document.maps.items():
        for plot in map_plots(document, name, one):
            yield _figure(plot)
    yield "</div>"
    rows = (
        (
            escape(name),
            f"{one.last_entries:,}",
            f"{one.max_entries:,}",
            f"{one.warn_entries:,}",
            megabytes(one.max_bytes),
            f"{one.added:,}",
            *(f"{amount:,}" for amount in one.removed.values()),
        )
        for name, one in document.maps.items()
    )
    heads = ("map", "#last", "#most", "#warning", "#most bytes", "#added")
    yield _table((*heads, "#expired", "#emergency", "#manual", "#capacity"), rows)
    yield "</section>"


def _gates(document: ReportDocument) -> Iterator[str]:
    rows = (
        (
            escape(gate.name),
            f"{gate.samples:,}",
            f"{gate.missing_minutes:,}",
            f"{gate.restarts:,}",
            f"{gate.cleanup_runs.get('normal', 0):,}",
            f"{gate.cleanup_runs.get('emergency', 0):,}",
            f"{sum(gate.leak_detections.values()):,}",
            f"{gate.pressure_minutes.get('soft', 0):,} / {gate.pressure_minutes.get('hard', 0):,}",
        )
        for gate in document.gates
    )
    heads = ("gate", "#samples", "#minutes missing", "#restarts", "#cleanups", "#emergencies", "#leaks")
    yield "<section><h2>Gates</h2>"
    yield _table((*heads, "#minutes soft / hard"), rows)
    yield "</section>"


def _events(document: ReportDocument) -> Iterator[str]:
    latest = document.events[-MOST_EVENTS:]
    if not latest:
        return
    rows = ((f"{moment(event.at_ms)}", escape(event.gate), escape(event.text)) for event in latest)
    yield "<section><h2>Events</h2>"
    yield _table(("UTC", "gate", "what"), rows)
    if len(latest) < len(document.events):
        yield f'<p class="soft small">The latest {MOST_EVENTS} of {len(document.events)}.</p>'
    yield "</section>"


def _notes(document: ReportDocument) -> Iterator[str]:
    broken = document.unusable_samples
    yield '<p class="soft small">1 MB is 1,000,000 bytes. Slopes are Theil-Sen estimates with their 95 % '
    yield f"interval, on floors after {document.warmup_seconds / 60:.0f} minutes of warm-up, never across a "
    yield "restart; a dashed line shows the slope. Bands reach from the least to the most of "
    yield f"{document.block_seconds // 60} min. "
    yield f"{broken:,} stored samples could not be read. " if broken else ""
    yield f"Made {moment(document.made_ms)} UTC.</p>"


def _figure(plot: Plot) -> str:
    names = " ".join(f'<span class="{line.style}"><i></i>{escape(line.label)}</span>' for line in plot.lines)
    legend = f'<div class="legend small">{names}</div>' if len(plot.lines) > 1 else ""
    return f"<figure><h3>{escape(plot.title)}</h3>{legend}{svg(plot)}</figure>"


def _amount(target: Target, amount: float | None) -> str:
    return escape(amount_text(target, amount))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML; columns whose head begins with # hold figures."""
    styles = [' class="n"' if head.startswith("#") else "" for head in heads]
    head = "".join(
        f"<th{style}>{escape(text.removeprefix('#'))}</th>" for text, style in zip(heads, styles, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(f"<td{style}>{cell}</td>" for cell, style in zip(row, styles, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
