"""The command `tidegate`, one file a command.

It exits with 0 when all is fine, 1 unhealthy or refused, 2 usage, 3 unreachable.
"""

import os
import sys

import click

from app.cli.check import check
from app.cli.cleanup import cleanup
from app.cli.client import EXIT_INTERRUPTED, EXIT_REFUSED
from app.cli.health import health
from app.cli.report import report
from app.cli.send import send
from app.cli.serve import serve
from app.cli.stats import stats


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tidegate", message="tidegate %(version)s")
def tidegate() -> None:
    """Let each transaction through once."""


for command in (serve, health, stats, cleanup, send, report, check):
    tidegate.add_command(command)


def main() -> None:
    """Run the command line; Ctrl-C ends a client quietly."""
    _speak_utf8()
    try:
        tidegate(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:  # a file that cannot be read to its end, a full disk behind stdout
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_REFUSED)


def _speak_utf8() -> None:
    """Start over in Python's UTF-8 mode where the locale has another encoding, as cron's `LC_ALL=C` may.

    Tokens, paths, arguments and output are UTF-8 then, in the processes of workers as well. A running
    interpreter cannot change its encodings (PEP 540), hence a new one in the same process.
    """
    if sys.flags.utf8_mode or sys.getfilesystemencoding() == "utf-8" or not sys.executable:
        return
    command = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
    os.execve(sys.executable, command, os.environ | {"PYTHONUTF8": "1"})  # noqa: S606  the command that runs already
