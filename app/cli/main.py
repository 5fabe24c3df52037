"""The command `tidegate`, one file a command.

It exits with 0 when all is fine, 1 unhealthy or refused, 2 usage, 3 unreachable.
"""

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
