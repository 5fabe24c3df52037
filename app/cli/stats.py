"""`tidegate stats`: the gate's figures as a page of text."""

from collections.abc import Iterator
from typing import Any

import click

from app.cli.client import Target, checked, gate_options
from app.cli.text import count, seconds, size, table

HEADINGS = (
    "map",
    "entries",
    "limit",
    "bytes",
    "retention",
    "oldest",
    "added",
    "expired",
    "emergency",
    "manual",
    "capacity",
)


@click.command()
@gate_options
@click.option("--json", "as_json", is_flag=True, help="Print GET /stats as it is.")
def stats(target: Target, as_json: bool) -> None:
    """Show what the gate holds, what came in, and what was removed."""
    answer = target.call("GET", "/stats")
    document = checked(answer)
    click.echo(answer.text if as_json else "\n".join(_page(document)))


def _page(document: dict[str, Any]) -> Iterator[str]:
    yield f"Tidegate {document['version']}, up {seconds(document['uptime_seconds'])}"
    yield ""
    yield table([HEADINGS, *(_map_row(name, figures) for name, figures in document["maps"].items())])
    yield ""
    yield "ingest   " + ", ".join(f"{name} {count(amount)}" for name, amount in document["ingest"].items())
    processes = (
        f"{process['name']} {size(process['rss_bytes'])}" for process in document["memory"]["processes"]
    )
    yield f"memory   {', '.join(processes)}; limit {size(document['memory']['limit_bytes'])}"
    yield f"cleanup  {_cleanup(document['cleanup'])}"
    for warning in document["warnings"]:
        yield f"WARNING  {warning}"


def _map_row(name: str, figures: dict[str, Any]) -> tuple[str, ...]:
    removed = figures["removed_total"]
    return (
        name,
        count(figures["entries"]),
        count(figures["limit_entries"]),
        size(figures["bytes"]),
        seconds(figures["retention_seconds"]),
        seconds(figures["oldest_age_seconds"]),
        count(figures["added_total"]),
        *(count(removed[reason]) for reason in HEADINGS[-4:]),
    )


def _cleanup(figures: dict[str, Any]) -> str:
    last, ratio = figures["last"], figures["efficiency_ratio"]
    efficiency = "-" if ratio is None else f"{ratio:.1%}"
    if last is None:
        return f"efficiency {efficiency}, none has run yet"
    removed = sum(change["removed"] for change in last["maps"].values())
    return (
        f"efficiency {efficiency}, last was {last['trigger']} ({last['mode']}) and removed {count(removed)}"
    )
