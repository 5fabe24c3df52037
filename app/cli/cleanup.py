"""`tidegate cleanup`: remove what is past retention, now."""

from collections.abc import Iterator
from typing import Any

import click

from app.cli.client import GateAddress, checked, gate_options
from app.cli.gate_answers import figure, members, plain
from app.cli.terminal import Rows, show
from app.web.amounts import count, milliseconds, size

MAPS = ("signatures", "transactions", "observations")
COLUMNS = ("before", "removed", "after")


@click.command()
@gate_options
@click.option("--emergency", is_flag=True, help="Cut the retention; signatures inside the window stay.")
@click.option("--map", "maps", type=click.Choice(MAPS), multiple=True, help="Only this map; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Report what would be removed, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as it is.")
def cleanup(gate: GateAddress, emergency: bool, maps: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Run a cleanup and show its report."""
    path = "/cleanup/emergency" if emergency else "/cleanup"
    answer = gate.call("POST", path, params={"map": list(maps), "dry_run": str(dry_run).lower()})
    report = checked(answer)
    if as_json:
        click.echo(answer.text)
    else:
        show(*report_page(report))


def report_page(report: dict[str, Any]) -> Iterator[str | Rows]:
    """Yield what a cleanup did, or would do, as a table and a line."""
    rows = (
        (plain(name), *(count(figure(change, column)) for column in COLUMNS))
        for name, change in members(report, "maps").items()
    )
    yield [("map", *COLUMNS), *rows]
    released = f"released {size(figure(report, 'memory', 'released_bytes'))}"
    outcome = "dry run, nothing was removed" if figure(report, "dry_run") else released
    mode = plain(figure(report, "mode") or "-")
    yield f"{mode} cleanup in {milliseconds(figure(report, 'duration_seconds'))}; {outcome}"
    left_out = members(report, "left_out")
    if left_out:
        kinds = ", ".join(sorted({plain(kind) for kind in left_out.values()}))
        yield f"WARNING  {len(left_out)} partitions could not be cleaned up ({kinds}); see tidegate health"
