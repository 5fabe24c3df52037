"""What `tidegate top` shows of the figures of the live page, as lines and tables."""

from collections.abc import Iterator
from typing import Any, Final

from rich.text import Text

from app.cli.gate_answers import elements, figure, members, plain
from app.cli.sparkline import sparkline
from app.cli.stats import map_table
from app.cli.terminal import Part, Rows
from app.web.amounts import count, duration, milliseconds, moment, rate, seconds, share, size

STYLES: Final = {"ready": "bold green", "stopping": "bold yellow"}
NOT_READY: Final = "bold white on red"
# Milliseconds that the small lines reach back.
MINUTE_MS, HOUR_MS = 60_000.0, 3_600_000.0
MAPS: Final = ("signatures", "transactions", "observations")


def view(figures: dict[str, Any], hint: str = "") -> Iterator[Part]:
    """Yield the lines and tables, with a hint at the end of the first line."""
    yield _head(figures, hint)
    for reason in elements(figures, "reasons"):
        yield f"fail {plain(reason)}"
    for warning in elements(figures, "warnings"):
        yield f"WARNING {plain(warning)}"
    for table in (
        _traffic(figures),
        map_table(figure(figures, "stats")),
        _memory(figures),
        _feeds(figures),
        _consumers(figures),
        _cleanups(figures),
    ):
        if len(table) > 1:
            yield ""
            yield table


def _head(figures: dict[str, Any], hint: str) -> Text:
    state, stats = plain(figure(figures, "state") or "unknown"), members(figures, "stats")
    head = Text(f"Tidegate {plain(figure(stats, 'version') or '-')}  ", style="bold")
    head.append(f" {state.replace('-', ' ')} ", style=STYLES.get(state, NOT_READY))
    told = f"  up {duration(figure(stats, 'uptime_seconds'))}, at {moment(figure(figures, 'taken_ms'))} UTC"
    head.append(told, style="not bold")
    head.append(f"  {hint}" if hint else "", style="not bold dim")
    return head


def _traffic(figures: dict[str, Any]) -> Rows:
    ingest, rates = members(figures, "stats", "ingest"), members(figures, "rates")
    not_taken = sum(figure(ingest, name) or 0 for name in ("invalid", "refused", "failed"))
    totals = {"accepted": figure(ingest, "accepted"), "duplicate": figure(ingest, "duplicate")}
    totals["not_taken"] = not_taken
    taken = figure(figures, "duplicate_share")
    shares = {"duplicate": share(taken)} if taken is not None else {}
    rows = [
        (
            name.replace("_", " "),
            rate(figure(rates, name)),
            shares.get(name, ""),
            count(total),
            _spark([(one, figure(one, name)) for one in elements(figures, "past_rates")], MINUTE_MS),
        )
        for name, total in totals.items()
    ]
    return [("transactions", "a second", "share", "since start", ""), *rows]


def _memory(figures: dict[str, Any]) -> Rows:
    past = elements(figures, "past_memory")
    rows = [
        (
            plain(figure(process, "name")),
            size(figure(process, "rss_bytes")),
            size(figure(process, "growth_bytes")),
            size(figure(process, "slope_bytes_per_hour")),
            plain(figure(process, "state")),
            _spark([(one, figure(one, "rss_bytes", figure(process, "name"))) for one in past], HOUR_MS),
        )
        for process in elements(figures, "processes")
    ]
    return [("process", "resident", "growth", "an hour", "leak", ""), *rows]


def _feeds(figures: dict[str, Any]) -> Rows:
    rows = [
        (
            plain(figure(source, "source")),
            rate(figure(source, "per_second")),
            share(figure(source, "first_share")),
            _delay(source, "p50"),
            _delay(source, "p95"),
            share(figure(source, "late", "share")),
            share(figure(source, "missed", "share")),
            ("silent since " if figure(source, "silent_since_ms") else "")
            + moment(figure(source, "last_seen_ms")),
        )
        for source in elements(figures, "sources")
    ]
    return [("feed", "a second", "first", "p50 behind", "p95", "late", "missed", "last seen"), *rows]


def _delay(source: Any, quantile: str) -> str:
    delay_ms = figure(source, "delay_ms", quantile)
    return "-" if delay_ms is None else milliseconds(delay_ms / 1000)


def _consumers(figures: dict[str, Any]) -> Rows:
    rows = [
        (
            plain(figure(consumer, "name")),
            count(figure(consumer, "lag_transactions")),
            seconds(figure(consumer, "lag_seconds")),
            count(figure(consumer, "leases")),
            count(figure(consumer, "delivered")),
            count(figure(consumer, "redelivered")),
            count(figure(consumer, "missed")),
            moment(figure(consumer, "called_ms")),
        )
        for consumer in elements(figures, "consumers")
    ]
    heads = ("consumer", "behind by", "behind", "leases", "delivered", "again", "missed", "last call")
    return [heads, *rows]


def _cleanups(figures: dict[str, Any]) -> Rows:
    rows = [
        (
            moment(figure(report, "started_ms")),
            plain(figure(report, "trigger")),
            plain(figure(report, "mode")) + (", dry run" if figure(report, "dry_run") else ""),
            *(count(figure(report, "maps", name, "removed")) for name in MAPS),
            milliseconds(figure(report, "duration_seconds")),
        )
        for report in elements(figures, "cleanups")
    ]
    return [("cleanup", "asked for by", "mode", *MAPS, "took"), *rows]


def _spark(points: list[tuple[Any, Any]], span_ms: float) -> str:
    """Draw amounts, each beside what says its age, over the time that ends now."""
    drawn = [
        (-1000.0 * figure(one, "age_seconds"), float(amount)) for one, amount in points if amount is not None
    ]
    return sparkline(drawn, -span_ms, 0.0)
