"""`tidegate stats`: the gate's figures as a page of text."""

from collections.abc import Iterator
from typing import Any

import click

from app.cli.client import GateAddress, checked, gate_options
from app.cli.gate_answers import elements, figure, members, plain
from app.cli.terminal import Rows, show
from app.web.amounts import count, seconds, share, size

REASONS = ("expired", "emergency", "manual", "capacity")
HEADINGS = ("map", "entries", "limit", "bytes", "retention", "oldest", "added", *REASONS)


@click.command()
@gate_options
@click.option("--json", "as_json", is_flag=True, help="Print GET /stats as it is.")
def stats(gate: GateAddress, as_json: bool) -> None:
    """Show what the gate holds, what came in, and what was removed."""
    answer = gate.call("GET", "/stats")
    document = checked(answer)
    if as_json:
        click.echo(answer.text)
    else:
        show(*_page(document))


def _page(document: dict[str, Any]) -> Iterator[str | Rows]:
    version, uptime = figure(document, "version") or "-", figure(document, "uptime_seconds")
    yield f"Tidegate {plain(version)}, up {seconds(uptime)}"
    yield ""
    yield map_table(document)
    yield ""
    ingest = members(document, "ingest")
    refusals = ingest.pop("refusals", None)
    yield f"items    {_counts(ingest) or '-'}"
    if happened := _counts({reason: times for reason, times in members(refusals).items() if times}):
        yield f"requests answered 503 or 429: {happened}"
    yield f"memory   {_memory(members(document, 'memory'))}"
    if store := members(document, "store"):
        yield f"store    {_store(store, figure(document, 'maps', 'transactions', 'limit_bytes'))}"
    yield f"cleanup  {_cleanup(members(document, 'cleanup'))}"
    for warning in elements(document, "warnings"):
        yield f"WARNING  {plain(warning)}"


def map_table(document: Any) -> Rows:
    """Return the table of the maps in `GET /stats`."""
    return [HEADINGS, *(_map_row(name, figures) for name, figures in members(document, "maps").items())]


def _counts(amounts: dict[str, Any]) -> str:
    return ", ".join(f"{plain(name)} {count(amount)}" for name, amount in amounts.items())


def _map_row(name: str, figures: Any) -> tuple[str, ...]:
    return (
        plain(name),
        count(figure(figures, "entries")),
        count(figure(figures, "limit_entries")),
        size(figure(figures, "bytes")),
        seconds(figure(figures, "retention_seconds")),
        seconds(figure(figures, "oldest_age_seconds")),
        count(figure(figures, "added_total")),
        *(count(figure(figures, "removed_total", reason)) for reason in REASONS),
    )


def _memory(figures: dict[str, Any]) -> str:
    processes = (
        f"{plain(figure(process, 'name'))} {size(figure(process, 'rss_bytes'))}"
        for process in elements(figures, "processes")
    )
    source = figure(figures, "limit_source")
    limit = size(figure(figures, "limit_bytes")) + (f" ({plain(source)})" if source else "")
    parts = [", ".join(processes) or "-", f"limit {limit}"]
    if level := figure(figures, "level"):
        parts.append(f"level {plain(level)}")
    if state := figure(figures, "leak", "state"):
        parts.append(f"leak detector: {plain(state)}")
    return "; ".join(parts)


def _store(figures: dict[str, Any], transactions_limit_bytes: Any) -> str:
    """Say what the store uses by its own figures, what of it is the maps', and what these may come to."""
    used, limit = size(figure(figures, "used_bytes")), figure(figures, "limit_bytes")
    of = f" of {size(limit)}" if limit else ", without a limit"
    held = f"the maps hold {size(figure(figures, 'maps_bytes'))}"
    return f"{used}{of}; {held}, and transactions may have {size(transactions_limit_bytes)}"


def _cleanup(figures: dict[str, Any]) -> str:
    efficiency = f"efficiency {share(figure(figures, 'efficiency_ratio'))}"
    last = members(figures, "last")
    if not last:
        return f"{efficiency}, none has run yet"
    kind = f"{plain(figure(last, 'trigger') or '-')} ({plain(figure(last, 'mode') or '-')})"
    removed = sum(figure(change, "removed") or 0 for change in members(last, "maps").values())
    return f"{efficiency}, last was {kind} and removed {count(removed)}"
