"""The command `tidegate`, one module a command."""

import os
import signal
import sys
from importlib import import_module
from typing import Any, Final, NamedTuple

import click

from app.cli.exit_codes import INTERRUPTED, REFUSED
from app.process.lean_start import leave_out_rich, start_lean


class _Place(NamedTuple):
    module: str
    summary: str


COMMANDS: Final = {
    "check": _Place("app.cli.check", "Exit 0 when no target of the last hours failed, 1 when one did."),
    "cleanup": _Place("app.cli.cleanup", "Run a cleanup and show its report."),
    "daily-report": _Place("app.cli.report.daily", "Write the page of a day's report to a folder."),
    "drill": _Place("app.cli.drill", "Practise an alert, and watch what comes of it."),
    "feeds": _Place("app.cli.feeds", "Check the feeds file, and what would become of a body."),
    "health": _Place("app.cli.health", "Exit 0 when the gate is ready, 1 with the reasons when not."),
    "report": _Place("app.cli.report.command", "Show what happened over a day, judged by the targets."),
    "send": _Place("app.cli.send.command", "Post the transactions in FILE, one JSON item a line."),
    "serve": _Place("app.cli.serve", "Run the gate until Ctrl-C or SIGTERM."),
    "stats": _Place("app.cli.stats", "Show what the gate holds, what came in, and what was removed."),
    "tail": _Place("app.cli.tail.command", "Print what the gate accepts, one JSON object a line."),
    "top": _Place("app.cli.top.command", "Watch a gate in the terminal until q is pressed."),
}
# `health` is run every few seconds where a container's health check calls it.
DRAW_NOTHING: Final = frozenset({"check", "drill", "feeds", "health", "tail"})


class _Commands(click.Group):
    """Knows each command by its summary until it is called.

    Only then is its module loaded, so that `--help` is there at once, and `health` waits for no server.
    """

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command by its name, and load it."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None:
            loaded: Any = import_module(COMMANDS[name].module)
            command = getattr(loaded, name.replace("-", "_"))
        return name, command, rest


@click.group(
    cls=_Commands,
    commands=[click.Command(name, short_help=place.summary) for name, place in COMMANDS.items()],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="tidegate", message="tidegate %(version)s")
def tidegate() -> None:
    """Let each transaction through once."""


def main() -> None:
    """Run the command line; Ctrl-C ends a client quietly."""
    _speak_utf8()
    command = sys.argv[1] if sys.argv[1:] else ""
    if command == "serve":
        # Until uvicorn has its handler. For pid 1 of a container there is no default: it would be lost.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        start_lean()
    elif command in DRAW_NOTHING:
        leave_out_rich()
    try:
        tidegate(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:  # a file that cannot be read to its end, a full disk behind stdout
        click.echo(f"Error: {error}", err=True)
        sys.exit(REFUSED)


def _speak_utf8() -> None:
    """Start over in Python's UTF-8 mode where the locale has another encoding, as cron's `LC_ALL=C` may.

    Tokens, paths, arguments and output are UTF-8 then, in the processes of workers as well. A running
    interpreter cannot change its encodings (PEP 540), hence a new one in the same process.
    """
    if sys.flags.utf8_mode or sys.getfilesystemencoding() == "utf-8" or not sys.executable:
        return
    command = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
    os.execve(sys.executable, command, os.environ | {"PYTHONUTF8": "1"})  # noqa: S606  the command that runs already
