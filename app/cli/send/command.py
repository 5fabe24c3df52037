"""`tidegate send`: post an NDJSON file of any size, or stdin.

The lines are read and cut into batches (line_batches.py), and these are posted, again if need be (sender.py).
"""

import json
import os
import re
import shlex
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click
from click.core import ParameterSource
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from app.cli.client import GateAddress, gate_options
from app.cli.exit_codes import REFUSED, Refused
from app.cli.nonempty_option import Given
from app.cli.send.line_batches import Batch, LineCounts, batches
from app.cli.send.sender import Sender
from tidegate.answers import without_password

MIB = 1024 * 1024
UNITS = {"": 1, "B": 1, "KIB": 1024, "MIB": MIB}
SIZE = re.compile(r"(\d{1,12})\s*([A-Z]*)", re.ASCII)


class ByteSize(click.ParamType[int]):
    """Takes an amount of bytes between two limits, written as a plain number or with KiB or MiB."""

    name = "size"

    def __init__(self, least: int, most: int) -> None:
        self._range = range(least, most + 1)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes, or fail with what would be right."""
        found = SIZE.fullmatch(str(value).strip().upper())
        amount = int(found[1]) * UNITS.get(found[2], -1) if found else -1
        if amount not in self._range:
            lowest, highest = self._range[0], self._range[-1]
            self.fail(f"{value!r} is not a size from {lowest} to {highest} bytes, like 4MiB", param, ctx)
        return amount


class Lines(click.File):
    """Takes a file to read, or `-` for stdin; what cannot be read is refused with what to do instead."""

    def convert(
        self, value: str | os.PathLike[str] | Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return the open file, or fail where there is nothing to read."""
        if isinstance(value, str) and Path(value).is_dir():
            everything = f"cat {shlex.quote(value)}/* | tidegate send -"
            self.fail(f"{value!r} is a directory. Name a file, or send all of them: {everything}", param, ctx)
        try:
            return super().convert(value, param, ctx)
        except RuntimeError:  # click's for a stream that the shell has closed
            self.fail("stdin is closed. Name a file, or pipe the lines in.", param, ctx)


@click.command()
@click.argument("file", type=Lines("rb"))
@gate_options
@click.option("--source", type=Given(), help="Source of the lines that name none.")
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
def send(gate: GateAddress, file: BinaryIO, source: str | None, as_json: bool, **options: Any) -> None:
    """Post the transactions in FILE, one JSON item a line; `-` is stdin.

    A request answered 503 may have been processed in part, and is sent again. That is safe, the gate
    deduplicates; what the first try got in then counts as duplicate.

    An invalid line is named by its number in FILE, from 1, and by its index, as the gate's answers count:
    from 0, blank lines left out.
    """
    counts, started = LineCounts(), time.monotonic()
    limits = (options["batch_lines"], options["batch_bytes"])
    with gate.open() as client:
        sender = Sender(client, gate, options["use_gzip"], options["retries"])
        _send_all(sender, file, limits, {} if source is None else {"source": source}, counts)
    _print_summary(counts, time.monotonic() - started, as_json)
    if counts.stopped:
        raise Refused(counts.stopped)
    if counts.invalid:
        sys.exit(REFUSED)


def _send_all(
    sender: Sender, file: BinaryIO, limits: tuple[int, int], params: dict[str, str], counts: LineCounts
) -> None:
    """Send until the end, or until the gate refuses a batch for good, which `counts.stopped` then tells."""
    with _progress(file) as advance:
        for batch in batches(file, *limits):
            counts.add_too_long(batch)
            if batch.numbers:
                try:
                    counts.add(batch, sender.post(batch, params))
                except Refused as error:
                    first = batch.numbers[0]
                    counts.stopped = (
                        f"stopped at line {first}: {error.message.rstrip('.')}. {_for_rest(file, first)}"
                    )
                    break
            advance(batch)
    counts.retries = sender.retried


def _print_summary(counts: LineCounts, seconds: float, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(counts.document(seconds)))
        return
    for line, index, detail in counts.errors:
        click.echo(f"line {line} (index {index}): {detail}", err=True)
    if counts.invalid > len(counts.errors):
        click.echo(f"… and {counts.invalid - len(counts.errors):,} more invalid lines", err=True)
    click.echo(counts.sentence(seconds))


@contextmanager
def _progress(stream: BinaryIO) -> Iterator[Callable[[Batch], object]]:
    """Yield what to call after each batch, and show on a terminal how much is sent.

    Of a stream without a known end there is the count of lines, beside a bar that only moves.
    """
    shown = Progress(
        TextColumn("sending"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[lines]:,} lines"),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with shown:
        task = shown.add_task("", total=_length(stream), lines=0)
        yield lambda batch: shown.update(
            task, advance=batch.read_bytes, lines=shown.tasks[0].fields["lines"] + len(batch.numbers)
        )


def _length(stream: BinaryIO) -> int | None:
    """Return the bytes left of a regular file, None for a pipe, a device or a test's buffer."""
    try:
        status = os.fstat(stream.fileno())
        return status.st_size - stream.tell() if stat.S_ISREG(status.st_mode) else None
    except OSError:
        return None


def _for_rest(file: BinaryIO, first: int) -> str:
    """Return the command that sends a file from one of its lines on, with the options that were given.

    To send all of it again would let the older lines in twice once their window is over.
    """
    name = getattr(file, "name", "-")
    is_file = isinstance(name, str) and name not in ("-", "<stdin>")
    tail = f"tail -n +{first} {shlex.quote(str(name))}" if is_file else f"… | tail -n +{first}"
    return f"Then send the rest: {tail} | {shlex.join([_program(), 'send', *_options(), '-'])}"


def _program() -> str:
    """Return how the command was called, where its name alone would not find it."""
    called = sys.argv[0]
    is_found = Path(called).name != "tidegate" or shutil.which("tidegate") == called
    return "tidegate" if is_found else called


def _options() -> Iterator[str]:
    """Yield the options of the command line; what came from variables is still in the shell."""
    context = click.get_current_context()
    for option in context.command.params:
        name = option.name or ""
        if not isinstance(option, click.Option):
            continue
        if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        if option.is_flag:
            yield (option.opts if value else option.secondary_opts)[0]
        else:
            yield from (option.opts[0], without_password(value) if name == "url" else str(value))
