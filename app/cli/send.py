"""`tidegate send`: post an NDJSON file of any size, or stdin."""

import gzip
import json
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from app.cli.chunks import MAX_LINE_BYTES, Chunk, chunks
from app.cli.client import Refused, Target, checked, gate_options, sentence

if TYPE_CHECKING:
    import httpx

MIB = 1024 * 1024
ERRORS_SHOWN = 10
MAX_WAIT_SECONDS = 10.0
UNAVAILABLE, UNPROCESSABLE = 503, 422


@dataclass
class Sent:
    """What became of the lines; `errors` are the first few, by line of the file."""

    lines: int = 0
    accepted: int = 0
    duplicate: int = 0
    invalid: int = 0
    retries: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)

    def note_error(self, line: int, detail: str) -> None:
        """Keep it if it is among the first."""
        if len(self.errors) < ERRORS_SHOWN:
            self.errors.append((line, detail))

    def add(self, chunk: Chunk, summary: dict[str, Any]) -> None:
        """Add the gate's answer to a chunk; its indices become lines of the file."""
        self.lines += len(chunk.lines)
        for name in ("accepted", "duplicate", "invalid"):
            setattr(self, name, getattr(self, name) + summary[name])
        for error in summary["errors"]:
            self.note_error(chunk.numbers[error["index"]], error["detail"])

    def add_too_long(self, chunk: Chunk) -> None:
        """Add the lines that were not sent."""
        self.lines += len(chunk.too_long)
        self.invalid += len(chunk.too_long)
        for number in chunk.too_long:
            self.note_error(number, f"longer than {MAX_LINE_BYTES} bytes, not sent")


@dataclass
class Sender:
    """Posts chunks over one connection, again when the gate says so.

    Sending again is safe: the gate deduplicates. What the first try got in then counts as duplicate.
    """

    client: "httpx.Client"
    target: Target
    use_gzip: bool
    retries: int
    sleep: Callable[[float], None] = time.sleep
    reached: bool = False
    retried: int = 0

    def post(self, chunk: Chunk, params: dict[str, str]) -> dict[str, Any]:
        """The gate's summary of a chunk.

        Raises:
            Unreachable: nothing ever answered.
            Refused: still 503 or gone after all retries, or refused for good.
        """
        body = gzip.compress(chunk.body, 1) if self.use_gzip else chunk.body
        for attempt in range(self.retries + 1):
            answer = self._try(body, params)
            if isinstance(answer, str):
                last, wait = answer, 0.0
            elif answer.status_code != UNAVAILABLE:
                return _summary(answer)
            else:
                last, wait = sentence(answer), float(answer.headers.get("retry-after") or 0)
            if attempt < self.retries:
                self._back_off(attempt, wait)
        raise Refused(f"gave up after {self.retries + 1} tries: {last}")

    def _try(self, body: bytes, params: dict[str, str]) -> "httpx.Response | str":
        import httpx  # noqa: PLC0415  heavy, and `--help` needs none

        headers = {"Content-Type": "application/x-ndjson"} | (
            {"Content-Encoding": "gzip"} if self.use_gzip else {}
        )
        try:
            answer = self.client.post("/transactions", content=body, params=params, headers=headers)
        except httpx.TransportError as error:
            if not self.reached:
                raise self.target.unreachable(error) from None
            return f"no answer: {error}"
        self.reached = True
        return answer

    def _back_off(self, attempt: int, at_least_seconds: float) -> None:
        """Full jitter over a doubling wait, but no less than Retry-After says."""
        self.retried += 1
        jitter = random.uniform(0, min(MAX_WAIT_SECONDS, 0.1 * 2**attempt))  # noqa: S311  not a secret
        self.sleep(at_least_seconds + jitter)


@click.command()
@click.argument("file", type=click.File("rb"))
@gate_options
@click.option("--source", help="Source of the lines that name none.")
@click.option(
    "--batch-lines", type=click.IntRange(1, 100_000), default=2000, show_default=True, help="Lines a request."
)
@click.option("--gzip/--no-gzip", "use_gzip", default=False, help="Compress what is sent.")
@click.option("--retries", type=click.IntRange(0, 100), default=8, show_default=True, help="After a 503.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def send(target: Target, file: BinaryIO, source: str | None, as_json: bool, **options: Any) -> None:
    """Post the transactions in FILE, one JSON item a line; `-` is stdin."""
    sent, started = Sent(), time.monotonic()
    with target.open() as client:
        sender = Sender(client, target, options["use_gzip"], options["retries"])
        _send_all(sender, file, options["batch_lines"], {"source": source} if source else {}, sent)
    sent.retries = sender.retried
    _print_summary(sent, time.monotonic() - started, as_json)
    if sent.invalid:
        sys.exit(Refused.exit_code)


def _send_all(sender: Sender, file: BinaryIO, batch_lines: int, params: dict[str, str], sent: Sent) -> None:
    length = os.fstat(file.fileno()).st_size if file.seekable() else None
    with click.progressbar(
        length=length or 1, label="sending", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        for chunk in chunks(file, batch_lines, MIB):
            sent.add_too_long(chunk)
            if chunk.lines:
                sent.add(chunk, sender.post(chunk, params))
            bar.update(chunk.read_bytes if length else 0)


def _summary(answer: "httpx.Response") -> dict[str, Any]:
    """The counts, which a 422 for lines that are all invalid carries too."""
    if answer.status_code == UNPROCESSABLE and "accepted" in answer.json():
        document: dict[str, Any] = answer.json()
        return document
    summary: dict[str, Any] = checked(answer)
    return summary


def _print_summary(sent: Sent, seconds: float, as_json: bool) -> None:
    rate = sent.lines / seconds if seconds else 0.0
    if as_json:
        errors = [{"line": line, "detail": detail} for line, detail in sent.errors]
        click.echo(
            json.dumps(asdict(sent) | {"errors": errors, "seconds": seconds, "transactions_per_second": rate})
        )
        return
    for line, detail in sent.errors:
        click.echo(f"line {line}: {detail}", err=True)
    if sent.invalid > len(sent.errors):
        click.echo(f"… and {sent.invalid - len(sent.errors):,} more invalid lines", err=True)
    click.echo(
        f"{sent.lines:,} lines: {sent.accepted:,} accepted, {sent.duplicate:,} duplicate, "
        f"{sent.invalid:,} invalid "
        f"in {seconds:.1f} s ({rate:,.0f} a second, {sent.retries} retries)"
    )
