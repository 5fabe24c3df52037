"""`tidegate tail`: print what the gate accepts as it comes, or hand it to a program as a named consumer."""

import asyncio
import logging
import re
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from app.cli.client import GateAddress, gates_options, sentence
from app.cli.exit_codes import Refused
from app.cli.gate_answers import plain
from app.cli.nonempty_option import Given
from app.cli.tail.line_output import LineOutput
from app.cli.tail.printing import Wanted, notice, print_consumer, print_stream
from tidegate import gates as client_gates
from tidegate.client import NOT_IN_ADDRESSES, Client
from tidegate.place import Start

NAMED_BEGINS: Final[dict[str, Start]] = {"oldest": "oldest", "now": "now"}
MOMENT: Final = re.compile(r"[0-9]{1,16}")


class Begin(click.ParamType[Start]):
    """Takes `oldest`, `now`, or a time in milliseconds since the epoch."""

    name = "oldest|now|ms"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Start:
        """Return where to begin, or fail with what would be right."""
        text = str(value)
        if text in NAMED_BEGINS:
            return NAMED_BEGINS[text]
        if not MOMENT.fullmatch(text):
            self.fail(f"{text!r} is neither oldest nor now nor a time in milliseconds since 1970", param, ctx)
        return int(text)


@click.command()
@gates_options
@click.option("--consumer", type=Given(), help="Read as this consumer, and commit what stdout has taken.")
@click.option(
    "--from",
    "start",
    type=Begin(),
    help="Where to begin; with --consumer, where a new one begins.  [default: now; with --consumer oldest]",
)
@click.option("--after", type=Given(), help="Begin behind the line with this cursor.")
@click.option("--source", "sources", type=Given(), multiple=True, help="Only this source; may be repeated.")
@click.option("--payload/--no-payload", default=True, help="Leave the payloads out.")
@click.option("--limit", type=click.IntRange(min=1), help="End after so many transactions.")
@click.option(
    "--batch-lines",
    type=click.IntRange(1, 10_000),
    default=500,
    show_default=True,
    help="Transactions a lease, with --consumer.",
)
def tail(gates: list[GateAddress], consumer: str | None, batch_lines: int, **options: Any) -> None:
    """Print what the gate accepts, one JSON object a line.

    With --consumer each transaction is handed out once to all that read under this name: `tidegate tail
    --consumer bot | ./bot`. What ./bot has not read when it ends comes again half a minute later, to whoever
    reads as `bot` then. Lines of other sources than --source are committed and not printed.

    A line like {"gap":{"transactions":12,…}} tells what had left the gate before it was read; stderr says so
    too. Ends with 0 when nobody reads stdout any more, and on SIGTERM.
    """
    if options["after"] and (consumer or options["start"] is not None):
        raise click.UsageError("--after goes with neither --consumer nor --from")
    if consumer in NOT_IN_ADDRESSES:
        raise click.UsageError(f"{consumer!r} cannot be the name of a consumer, as addresses lose it")
    if sys.stdout is None:
        raise click.UsageError("stdout is closed, and the lines have to go somewhere")
    begin = options.pop("start")
    wanted = Wanted(start=begin if begin is not None else "oldest" if consumer else "now", **options)
    output = LineOutput(sys.stdout.fileno())
    client = Client(*(gate.url for gate in gates), token=gates[0].token)
    try:
        with _warnings_on_stderr():
            if consumer:
                work = print_consumer(client, output, consumer, wanted, batch_lines)
            else:
                work = print_stream(client, output, wanted)
            asyncio.run(_until_ended(client, output, work))
    except BrokenPipeError:
        pass  # as `| head` does when it has enough
    except client_gates.Unreachable as error:
        raise gates[-1].unreachable(error.reason) from None
    except client_gates.Refused as error:
        raise Refused(sentence(error.answer)) from None


async def _until_ended(client: Client, output: LineOutput, work: Coroutine[Any, Any, None]) -> None:
    """Do the work to its end, or until SIGTERM comes or nobody reads stdout any more."""
    task = asyncio.ensure_future(work)
    is_ended = False

    def end() -> None:
        nonlocal is_ended
        is_ended = True
        task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    output.when_closed(end)
    async with client:
        try:
            await task
        except asyncio.CancelledError:
            if not is_ended:  # it was Ctrl-C
                raise


class _OnStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        notice(plain(record.getMessage()))


@contextmanager
def _warnings_on_stderr() -> Iterator[None]:
    """Show people what the client logs."""
    handler = _OnStderr()
    client_gates.logger.addHandler(handler)
    try:
        yield
    finally:
        client_gates.logger.removeHandler(handler)
