"""The words for the figures of a report, for page and terminal alike."""

from datetime import UTC, datetime

from app.reports.document import ProcessReport, ReportDocument, SlopeView, Target
from app.reports.trends import MEGABYTE, signed

NOTHING = "-"


def megabytes(amount: float) -> str:
    """Bytes as MB of 1,000,000."""
    return f"{amount / MEGABYTE:,.1f} MB"


def slope_text(slope: SlopeView | None) -> str:
    """MB an hour, signed."""
    return signed(slope.value) if slope else NOTHING


def interval_text(slope: SlopeView | None) -> str:
    """The bounds of the interval."""
    return f"{signed(slope.low)} … {signed(slope.high)}" if slope else NOTHING


def moment(at_ms: float) -> str:
    """A moment to the minute, UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}"


def period_text(document: ReportDocument) -> str:
    """From when to when."""
    return f"{moment(document.from_ms)} to {moment(document.to_ms)} UTC"


def amount_text(target: Target, amount: float | None) -> str:
    """A target's value or limit in its unit."""
    if amount is None:
        return NOTHING
    if target.unit == "ratio":
        return f"{100 * amount:.1f} %"
    if target.unit in ("MB/h", "MB"):
        return f"{round(amount, 2) + 0.0:.2f} {target.unit}"
    return f"{amount:,.0f}"


def owner(process: ProcessReport) -> str:
    """The gate a process belongs to."""
    return process.gate or "shared"
