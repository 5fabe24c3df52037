"""`tidegate health`: can the gate take traffic? Made for health checks of containers."""

import click
import httpx

from app.cli.client import GateAddress, gate_options, sentence
from app.cli.exit_codes import Refused
from app.cli.gate_answers import elements, plain
from tidegate.answers import json_object

# A probe that is given three seconds can still say what it found.
ANSWER_SECONDS = 2.0


@click.command()
@gate_options
@click.option("--json", "as_json", is_flag=True, help="Print the gate's own answer.")
@click.option(
    "--timeout",
    "timeout_seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=ANSWER_SECONDS,
    show_default=True,
    help="Seconds to wait for a connection, and again for the answer.",
)
def health(gate: GateAddress, as_json: bool, timeout_seconds: float) -> None:
    """Exit 0 when the gate is ready, 1 with the reasons when not, 3 when nothing answers.

    What a gate that is ready warns of in /readyz, such as a master of the store that is lost, goes to stderr.
    """
    answer = gate.call("GET", "/readyz", timeout=timeout_seconds)
    if as_json:
        click.echo(answer.text)
    document = json_object(answer)
    if not answer.is_success or document is None or document.get("status") == "unready":
        raise Refused(f"not ready: {_reasons(answer)}")
    if not as_json:
        click.echo("ready")
        for warning in elements(document, "warnings"):
            click.echo(f"WARNING  {plain(warning)}", err=True)


def _reasons(answer: httpx.Response) -> str:
    reasons = elements(json_object(answer), "reasons")
    return "; ".join(map(plain, reasons)) or sentence(answer)
