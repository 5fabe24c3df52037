"""`tidegate report`: what happened over a day or the last hours, as text, JSON or a page."""

from pathlib import Path

import click
import httpx
from pydantic import ValidationError

from app.cli.client import GateAddress, checked, gate_options
from app.cli.exit_codes import Refused
from app.cli.nonempty_option import Given
from app.cli.report.page import page
from app.cli.report.text import text
from app.cli.terminal import show
from app.reports.report_document import ReportDocument


@click.command()
@gate_options
@click.option(
    "--day",
    type=Given(),
    metavar="YYYY-MM-DD",
    help="A day in UTC; today if neither it nor --hours is given.",
)
@click.option("--hours", type=click.IntRange(1, 192), help="The last hours instead of a day.")
@click.option("--json", "as_json", is_flag=True, help="Print the document as it is.")
@click.option(
    "--html",
    type=Given(click.Path(dir_okay=False, allow_dash=True, path_type=Path)),
    help="Write a page with plots to this file, - is stdout.",
)
def report(gate: GateAddress, day: str | None, hours: int | None, as_json: bool, html: Path | None) -> None:
    """Show memory, maps, cleanup and events of a day, judged by the success targets."""
    if day is not None and hours is not None:
        raise click.UsageError("give --day or --hours, not both")
    if as_json and html is not None:
        raise click.UsageError("give --json or --html, not both")
    answer = _ask(gate, day, hours)
    checked(answer)
    if as_json:
        click.echo(answer.text)
    elif html is not None:
        _write_page(document_of(answer), html)
    else:
        show(*text(document_of(answer)))


def _ask(gate: GateAddress, day: str | None, hours: int | None) -> httpx.Response:
    if hours is not None:
        return gate.call("GET", "/reports/recent", params={"hours": hours})
    return gate.call("GET", "/reports/daily", params={} if day is None else {"day": day})


def document_of(answer: httpx.Response) -> ReportDocument:
    """Return the report that a gate has answered.

    Raises:
        Refused: it is something else, or one of another version.
    """
    try:
        return ReportDocument.model_validate_json(answer.content)
    except ValidationError:
        raise Refused(
            f"{answer.url.host} answered with something else than this version's report; "
            "is this address a Tidegate, and of the same version? --json shows the answer."
        ) from None


def _write_page(document: ReportDocument, file: Path) -> None:
    if str(file) == "-":
        click.echo(page(document), nl=False)
        return
    file.write_text(page(document), encoding="utf-8")
    click.echo(f"{file} written: {document.status}")
