"""`tidegate daily-report`: writes the page of a day's report to a folder, and tells a webhook about it.

Something that keeps time calls it: systemd's timer, a CronJob, cron. A container without such has it stay
(`--each-day`), and look every ten minutes whether the report of the last whole day is there.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import httpx

from app.cli.client import GateAddress, checked, gate_options
from app.cli.exit_codes import Refused
from app.cli.gate_answers import plain
from app.cli.nonempty_option import Given
from app.cli.report.command import document_of
from app.cli.report.page import SIGNS, page
from app.errors import ConfigError
from app.reports.report_document import Outcome, ReportDocument
from app.settings.secret_files import only_line

LOOK_SECONDS = 600.0
# The last sample of a day, and the first of the next, are stored by then.
AFTER_MIDNIGHT = timedelta(minutes=10)
WEBHOOK_SECONDS = 30.0
PREFIX, SUFFIX, UNTOLD = "tidegate-", ".html", ".untold"


@click.command("daily-report")
@gate_options
@click.option(
    "--folder",
    type=Given(click.Path(file_okay=False, path_type=Path)),
    required=True,
    help="Write the page here, as tidegate-YYYY-MM-DD.html.",
)
@click.option(
    "--day", type=Given(), metavar="YYYY-MM-DD", help="A day in UTC; the last whole one by default."
)
@click.option("--keep", type=click.IntRange(1, 3660), default=30, show_default=True, help="Pages to keep.")
@click.option(
    "--webhook-file",
    type=Given(click.Path(dir_okay=False, path_type=Path)),
    help="A file with the URL to tell how it came out, as JSON with `text`, `status` and `targets`.",
)
@click.option("--each-day", is_flag=True, help="Stay, and do it every day.")
def daily_report(*, day: str | None, each_day: bool, **rest: Any) -> None:
    """Write the report of a day to a folder."""
    maker = Maker(**rest)
    if not each_day:
        maker.make(day or last_day(datetime.now(UTC)))
        return
    if day is not None:
        raise click.UsageError("give --day or --each-day, not both")
    while True:
        maker.make_if_due(datetime.now(UTC))
        time.sleep(LOOK_SECONDS)


def last_day(now: datetime) -> str:
    """Return the last day in UTC that is over, and has been for long enough to be stored."""
    return (now - AFTER_MIDNIGHT - timedelta(days=1)).date().isoformat()


@dataclass(frozen=True)
class Maker:
    """Makes pages of a gate's reports in a folder, and keeps so many."""

    gate: GateAddress
    folder: Path
    keep: int
    webhook_file: Path | None

    def make_if_due(self, now: datetime) -> None:
        """Make the report of the last day unless that is done; what goes wrong is told, and made later."""
        day = last_day(now)
        if self._file(day).exists() and not self._untold(day).exists():
            return
        try:
            self.make(day)
        except click.ClickException as error:
            error.show()
        except OSError as error:
            click.echo(f"Error: {error}", err=True)

    def make(self, day: str) -> None:
        """Make the report of a day.

        Raises:
            ClickException: the gate, or the webhook, does not answer or refuses.
            OSError: the page could not be written.
        """
        answer = self.gate.call("GET", "/reports/daily", params={"day": day})
        checked(answer)
        document = document_of(answer)
        file = self._file(document.day or day)
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        partial.write_text(page(document), encoding="utf-8")
        untold = self._untold(document.day or day)
        untold.touch()
        partial.replace(file)
        for old in sorted(self.folder.glob(f"{PREFIX}[0-9]*{SUFFIX}"))[: -self.keep]:
            old.with_suffix(UNTOLD).unlink(missing_ok=True)
            old.unlink()
        click.echo(f"{file} written: {document.status}")
        if self.webhook_file is not None:
            _tell(self.webhook_file, document)
        untold.unlink()

    def _file(self, day: str) -> Path:
        return self.folder / f"{PREFIX}{day}{SUFFIX}"

    def _untold(self, day: str) -> Path:
        """Return the file that is there until the webhook, if there is one, was told of the day."""
        return self._file(day).with_suffix(UNTOLD)


def _tell(webhook_file: Path, document: ReportDocument) -> None:
    """Post how the report came out.

    Raises:
        Refused: it could not be told; the URL, which may be a secret, is not named.
    """
    try:
        url = only_line(webhook_file, "the URL")
        answer = httpx.post(url, json=_told(document), timeout=WEBHOOK_SECONDS)
    except ConfigError as error:
        raise Refused(str(error)) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Refused(f"the webhook of {webhook_file} was not reached ({type(error).__name__})") from None
    if not answer.is_success:
        raise Refused(f"the webhook of {webhook_file} answered {answer.status_code}")


def _told(document: ReportDocument) -> dict[str, object]:
    head = f"Tidegate report of {document.day}: {document.status.upper()}"
    lines = [
        f"{SIGNS[target.status]}: {plain(target.title)}. {plain(target.sentence)}"
        for target in document.targets
        if target.status is not Outcome.PASS
    ]
    return {
        "text": "\n".join([head, *lines]),
        "day": document.day,
        "status": document.status,
        "targets": [target.model_dump(mode="json") for target in document.targets],
    }
