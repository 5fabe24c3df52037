"""Writes a report as text for a terminal."""

from collections.abc import Iterator, Sequence
from textwrap import indent

from app.cli.gate_answers import plain
from app.cli.report.formatted_figures import (
    amount_text,
    interval_text,
    megabytes,
    moment,
    owner,
    period_text,
    slope_text,
)
from app.cli.sparkline import sparkline
from app.cli.terminal import Rows
from app.reports.report_document import MapReport, ReportDocument
from app.web.amounts import count, milliseconds, share

MOST_EVENTS = 20


def text(document: ReportDocument) -> Iterator[str | Rows]:
    """Yield the lines and tables of the report."""
    yield f"Tidegate report, {period_text(document)}: {document.status.upper()}"
    yield ""
    yield from _targets(document)
    yield ""
    yield _memory(document)
    yield ""
    yield _maps(document)
    yield ""
    yield from _work(document)
    yield from _gates(document)
    for event in document.events[-MOST_EVENTS:]:
        yield f"event    {moment(event.at_ms)}  {plain(event.gate)}: {plain(event.text)}"
    if document.unusable_samples:
        yield f"WARNING  {document.unusable_samples:,} stored samples could not be read"


def _targets(document: ReportDocument) -> Iterator[str]:
    """Yield a line for each target with its outcome, and the sentence on it below."""
    for target in document.targets:
        measured, limit = amount_text(target, target.value), amount_text(target, target.limit)
        yield f"{target.status:<8} {plain(target.title)}: {measured} (limit {limit})"
        yield indent(plain(target.sentence), " " * 9)


def _memory(document: ReportDocument) -> Rows:
    heads = ("process", "first", "last", "min", "max", "MB/h", "95 % interval", "runs", "")
    rows = (
        (
            f"{plain(process.process)} {plain(owner(process))}",
            megabytes(process.first_bytes),
            megabytes(process.last_bytes),
            megabytes(process.min_bytes),
            megabytes(process.max_bytes),
            slope_text(process.slope_mb_per_hour),
            interval_text(process.slope_mb_per_hour),
            count(process.runs_total),
            _spark(document, [(at, most) for at, _, most in process.points]),
        )
        for process in document.processes
    )
    return [heads, *rows]


def _maps(document: ReportDocument) -> Rows:
    heads = ("map", "last", "most", "warning", "most bytes", "added", "expired", "other removals", "")
    return [heads, *(_map_row(document, name, one) for name, one in document.maps.items())]


def _map_row(document: ReportDocument, name: str, one: MapReport) -> tuple[str, ...]:
    expired = one.removed.get("expired", 0)  # type: ignore[call-overload]  # the key is one of StrEnum
    return (
        name,
        count(one.last_entries),
        count(one.max_entries),
        count(one.warn_entries),
        megabytes(one.max_bytes),
        count(one.added),
        count(expired),
        count(sum(one.removed.values()) - expired),
        _spark(document, [(at, most) for at, _, most, _ in one.points]),
    )


def _work(document: ReportDocument) -> Iterator[str]:
    done, latency = document.traffic.transactions, document.latency
    taken = _spark(
        document, [(at, accepted + duplicate) for at, accepted, duplicate, _ in document.traffic.points]
    )
    yield (
        "traffic  "
        + ", ".join(f"{count(amount)} {outcome}" for outcome, amount in done.items())
        + f"  {taken}"
    )
    slow = _spark(document, [(at, p99) for at, _, p99 in latency.points])
    yield (
        f"latency  {count(latency.requests)} posts, half within {milliseconds(latency.p50_seconds)}, "
        f"99 % within {milliseconds(latency.p99_seconds)}  {slow}"
    )


def _gates(document: ReportDocument) -> Iterator[str]:
    runs = document.cleanup.runs
    yield (
        f"cleanup  efficiency {share(document.cleanup.efficiency_ratio)}, "
        f"{count(runs.get('normal'))} normal and {count(runs.get('emergency'))} emergency runs, "
        f"{milliseconds(document.cleanup.mean_seconds)} each"
    )
    for gate in document.gates:
        yield (
            f"gate     {plain(gate.name)}: {gate.samples:,} samples, {gate.restarts:,} restarts, "
            f"{gate.missing_minutes:,} minutes missing, {sum(gate.leak_detections.values()):,} leaks detected"
        )


def _spark(document: ReportDocument, points: Sequence[tuple[float, float]]) -> str:
    return sparkline(points, document.plot_from_ms, document.to_ms)
