"""The time a report is about."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from app.errors import InvalidRequest
from app.models import HISTORY_DAYS

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
MINUTE_MS = 60 * 1000
MOST_HOURS = HISTORY_DAYS * 24
PLOT_BLOCKS = 288


@dataclass(frozen=True)
class Period:
    """A stretch of time in milliseconds since the epoch, its end not included; `day` is set if it is one."""

    from_ms: int
    to_ms: int
    day: str | None = None

    @property
    def hours(self) -> float:
        """How many hours the period has."""
        return (self.to_ms - self.from_ms) / HOUR_MS

    @property
    def block_ms(self) -> int:
        """The length of a plot's block: whole minutes, so that at most 288 blocks fill the period."""
        minutes = -(-(self.to_ms - self.from_ms) // MINUTE_MS)
        return max(1, -(-minutes // PLOT_BLOCKS)) * MINUTE_MS

    def has(self, at_ms: int) -> bool:
        """Tell whether a moment lies within the period."""
        return self.from_ms <= at_ms < self.to_ms


def day_period(day: str | None, now_ms: int) -> Period:
    """Return the period of a day in UTC, by default today, of which it ends now.

    Raises:
        InvalidRequest: it is no date, or has not begun.
    """
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    wanted = today if day is None else _date(day)
    if wanted > today:
        raise InvalidRequest(f"day: {wanted} has not begun; today is {today} (UTC)")
    from_ms = int(datetime(wanted.year, wanted.month, wanted.day, tzinfo=UTC).timestamp() * 1000)
    return Period(from_ms, min(from_ms + DAY_MS, now_ms + 1), wanted.isoformat())


def recent_period(hours: int, now_ms: int) -> Period:
    """Return the period of the last hours, now included."""
    to_ms = now_ms + 1
    return Period(to_ms - timedelta(hours=hours) // timedelta(milliseconds=1), to_ms)


def _date(text: str) -> date:
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InvalidRequest("day: has to be a date such as 2026-11-23")
