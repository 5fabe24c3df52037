"""The exit codes of all commands, 0 says that all is fine, and the errors that lead to the others."""

import click

REFUSED, USAGE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130
# EX_TEMPFAIL of sysexits.h: a supervisor is to start the gate again.
RESTART = 75


class Refused(click.ClickException):
    """Raised when the answer, of the gate or of a check, is no."""

    exit_code = REFUSED


class Unreachable(click.ClickException):
    """Raised when no gate answered."""

    exit_code = UNREACHABLE
