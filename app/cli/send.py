"""`tidegate send`: post an NDJSON file of any size, or stdin."""

import json
import sys
import time
from typing import Any, BinaryIO

import click

from app.cli.byte_size import ByteSize
from app.cli.chunks import chunks
from app.cli.client import EXIT_REFUSED, Refused, Target, gate_options
from app.cli.lines import Lines
from app.cli.progress import progress
from app.cli.rest import rest
from app.cli.sender import Sender
from app.cli.tally import Tally

MIB = 1024 * 1024


@click.command()
@click.argument("file", type=Lines("rb"))
@gate_options
@click.option("--source", help="Source of the lines that name none.")
@click.option(
    "--batch-lines", type=click.IntRange(1, 100_000), default=2000, show_default=True, help="Lines a request."
)
@click.option(
    "--batch-bytes", type=ByteSize(1, 32 * MIB), default="4MiB", show_default=True, help="Bytes a request."
)
@click.option("--gzip/--no-gzip", "use_gzip", default=False, help="Compress what is sent.")
@click.option(
    "--retries",
    type=click.IntRange(0, 100),
    default=8,
    show_default=True,
    help="After a 503 or a lost connection.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def send(target: Target, file: BinaryIO, source: str | None, as_json: bool, **options: Any) -> None:
    """Post the transactions in FILE, one JSON item a line; `-` is stdin.

    A request answered 503 may have been processed in part, and is sent again. That is safe, the gate
    deduplicates; what the first try got in then counts as duplicate.

    An invalid line is named by its number in FILE, from 1, and by its index, as the gate's answers count:
    from 0, blank lines left out.
    """
    tally, started = Tally(), time.monotonic()
    limits = (options["batch_lines"], options["batch_bytes"])
    with target.open() as client:
        sender = Sender(client, target, options["use_gzip"], options["retries"])
        _send_all(sender, file, limits, {"source": source} if source else {}, tally)
    _print_summary(tally, time.monotonic() - started, as_json)
    if tally.stopped:
        raise Refused(tally.stopped)
    if tally.invalid:
        sys.exit(EXIT_REFUSED)


def _send_all(
    sender: Sender, file: BinaryIO, limits: tuple[int, int], params: dict[str, str], tally: Tally
) -> None:
    """Send until the end, or until the gate refuses a chunk for good, which `tally.stopped` then tells."""
    with progress(file) as advance:
        for chunk in chunks(file, *limits):
            tally.add_too_long(chunk)
            if chunk.numbers:
                try:
                    tally.add(chunk, sender.post(chunk, params))
                except Refused as error:
                    first = chunk.numbers[0]
                    tally.stopped = (
                        f"stopped at line {first}: {error.message.rstrip('.')}. {rest(file, first)}"
                    )
                    break
            advance(chunk)
    tally.retries = sender.retried


def _print_summary(tally: Tally, seconds: float, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(tally.document(seconds)))
        return
    for line, index, detail in tally.errors:
        click.echo(f"line {line} (index {index}): {detail}", err=True)
    if tally.invalid > len(tally.errors):
        click.echo(f"… and {tally.invalid - len(tally.errors):,} more invalid lines", err=True)
    click.echo(tally.sentence(seconds))
