"""Writes the figures of a report, for page and terminal alike."""

from datetime import UTC, datetime

from app.reports.report_document import ProcessReport, ReportDocument, SlopeView, Target
from app.reports.trends import MEGABYTE, signed

NOTHING = "-"


def megabytes(amount: float) -> str:
    """Write bytes as MB, which are 1,000,000 of them."""
    return f"{amount / MEGABYTE:,.1f} MB"


def slope_text(slope: SlopeView | None) -> str:
    """Write a slope in MB an hour, with its sign."""
    return signed(slope.value) if slope else NOTHING


def interval_text(slope: SlopeView | None) -> str:
    """Write the bounds of a slope's 95 % interval, in MB an hour."""
    return f"{signed(slope.low)} … {signed(slope.high)}" if slope else NOTHING


def moment(at_ms: float) -> str:
    """Write a moment, given in milliseconds since the epoch, to the minute in UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}"


def period_text(document: ReportDocument) -> str:
    """Say from when to when the report is."""
    return f"{moment(document.from_ms)} to {moment(document.to_ms)} UTC"


def amount_text(target: Target, amount: float | None) -> str:
    """Write a target's value or limit in its unit."""
    if amount is None:
        return NOTHING
    if target.unit == "ratio":
        return f"{100 * amount:.1f} %"
    if target.unit in ("MB/h", "MB"):
        return f"{round(amount, 2) + 0.0:.2f} {target.unit}"
    return f"{amount:,.0f}"


def owner(process: ProcessReport) -> str:
    """Name the gate a process belongs to, or say that gates share it."""
    return process.gate or "shared"
