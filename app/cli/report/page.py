"""A report as one HTML page that needs nothing else: no script, no font, no request."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from app.cli.report import formatted_figures
from app.cli.report.plot_data import map_plots, memory_plots, work_plots
from app.cli.report.plot_svg import narrow_svg, svg
from app.reports.report_document import ReportDocument
from app.web.amounts import count, milliseconds

# Whatever a name of a gate might hold, the browser fetches and runs nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
SIGNS = {"pass": "✓ pass", "fail": "✗ fail", "unknown": "? unknown"}
TILES = {
    "rss_growth": "fastest growth after warm-up",
    "cleanup_efficiency": "of due entries removed in time",
    "leaks": "leaks detected",
    "emergency_runs": "emergency cleanups",
}
MOST_EVENTS = 50


def page(document: ReportDocument) -> str:
    """Return the whole page, made from the templates beside this file."""
    environment = Environment(
        loader=PackageLoader("app.cli.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        amount=count,
        megabytes=formatted_figures.megabytes,
        moment=formatted_figures.moment,
        slope=formatted_figures.slope_text,
        interval=formatted_figures.interval_text,
        owner=formatted_figures.owner,
        svg=svg,
        narrow_svg=narrow_svg,
        milliseconds=milliseconds,
    )
    return environment.get_template("page.html").render(
        report=document,
        period=formatted_figures.period_text(document),
        in_unit=formatted_figures.amount_text,
        memory_plots=memory_plots(document),
        work_plots=work_plots(document),
        map_plots=[plot for name, one in document.maps.items() for plot in map_plots(document, name, one)],
        policy=POLICY,
        signs=SIGNS,
        tiles=TILES,
        events=document.events[-MOST_EVENTS:],
    )
