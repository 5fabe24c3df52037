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
LEAST_PLOT_MS = 10 * MINUTE_MS


@dataclass(frozen=True)
class Period:
    """A stretch of time in milliseconds since the epoch, its end not included; `day` is set if it is one.

    It is plotted in blocks. Those of a gate that began in the period begin with it: of its first hour the
    plots show an hour, and not a strip at the end of a day.
    """

    from_ms: int
    to_ms: int
    day: str | None = None
    known_from_ms: int | None = None
    """The first moment of which something is kept; None: not looked up."""

    @property
    def hours(self) -> float:
        """How many hours the period has."""
        return (self.to_ms - self.from_ms) / HOUR_MS

    @property
    def plot_from_ms(self) -> int:
        """Where plots begin: with the period, or with what is known of it, and ten minutes before its end."""
        latest = max(self.from_ms, self.to_ms - LEAST_PLOT_MS)
        return min(latest, max(self.from_ms, self.known_from_ms or 0))

    @property
    def block_ms(self) -> int:
        """The length of a plot's block: whole minutes, so that at most 288 blocks fill the plot."""
        minutes = -(-(self.to_ms - self.plot_from_ms) // MINUTE_MS)
        return max(1, -(-minutes // PLOT_BLOCKS)) * MINUTE_MS

    def block_of(self, at_ms: int) -> int:
        """Return the number of the block in which a moment lies."""
        return (at_ms - self.plot_from_ms) // self.block_ms

    def block_ms_of(self, block: int) -> int:
        """Return the moment at which a block begins."""
        return self.plot_from_ms + block * self.block_ms

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
