"""`tidegate cleanup`: remove what is past retention, now."""

from collections.abc import Iterator
from typing import Any

import click

from app.cli.client import Target, checked, gate_options
from app.cli.text import count, size, table

MAPS = ("signatures", "transactions", "observations")


@click.command()
@gate_options
@click.option("--emergency", is_flag=True, help="Cut the retention; signatures inside the window stay.")
@click.option("--map", "maps", type=click.Choice(MAPS), multiple=True, help="Only this map; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Report what would be removed, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as it is.")
def cleanup(target: Target, emergency: bool, maps: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Run a cleanup and show its report."""
    path = "/cleanup/emergency" if emergency else "/cleanup"
    answer = target.call("POST", path, params={"map": list(maps), "dry_run": str(dry_run).lower()})
    report = checked(answer)
    click.echo(answer.text if as_json else "\n".join(_page(report)))


def _page(report: dict[str, Any]) -> Iterator[str]:
    rows = (
        (name, *(count(change[key]) for key in ("before", "removed", "after")))
        for name, change in report["maps"].items()
    )
    yield table([("map", "before", "removed", "after"), *rows])
    kind = (
        "dry run, nothing was removed"
        if report["dry_run"]
        else f"released {size(report['memory']['released_bytes'])}"
    )
    yield f"{report['mode']} cleanup in {report['duration_seconds'] * 1000:.1f} ms; {kind}"
