"""`tidegate health`: can the gate take traffic? Made for health checks of containers."""

import json

import click

from app.cli.client import Refused, Target, gate_options


@click.command()
@gate_options
@click.option("--json", "as_json", is_flag=True, help="Print the gate's own answer.")
def health(target: Target, as_json: bool) -> None:
    """Exit 0 when the gate is ready, 1 with the reasons when not, 3 when nothing answers."""
    answer = target.call("GET", "/readyz")
    if as_json:
        click.echo(answer.text)
    if not answer.is_success:
        raise Refused(f"not ready: {_reasons(answer.text)}")
    if not as_json:
        click.echo("ready")


def _reasons(text: str) -> str:
    try:
        return "; ".join(json.loads(text)["reasons"])
    except (ValueError, KeyError, TypeError):
        return text[:200]
