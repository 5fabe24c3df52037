"""`tidegate check`: were the success targets kept? Made for cron and pipelines."""

import sys

import click

from app.cli.client import GateAddress, checked, gate_options
from app.cli.exit_codes import REFUSED, Refused
from app.cli.gate_answers import elements, figure, plain

OUTCOMES = frozenset({"pass", "fail", "unknown"})


@click.command()
@gate_options
@click.option(
    "--hours", type=click.IntRange(1, 192), default=24, show_default=True, help="The last hours are judged."
)
@click.option("--strict", is_flag=True, help="Exit 1 as well when a target cannot be judged.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as it is.")
def check(gate: GateAddress, hours: int, strict: bool, as_json: bool) -> None:
    """Exit 0 when no target of the last hours failed, 1 when one did, 3 when nothing answers."""
    answer = gate.call("GET", "/reports/recent", params={"hours": hours})
    targets = elements(checked(answer), "targets")
    outcomes = {plain(figure(one, "status")) for one in targets}
    if not outcomes or not outcomes <= OUTCOMES:
        raise Refused(f"{answer.url.host} answered with no targets; is this address a Tidegate?")
    if as_json:
        click.echo(answer.text)
    else:
        for one in targets:
            words = (plain(figure(one, name) or "-") for name in ("title", "sentence"))
            click.echo(f"{plain(figure(one, 'status')):<8} {': '.join(words)}")
    if outcomes & ({"fail", "unknown"} if strict else {"fail"}):
        sys.exit(REFUSED)
