"""The exit codes of every command when not all is fine, 0 says that it is, and the errors that lead to them."""

import click

REFUSED, USAGE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130


class Refused(click.ClickException):
    """Raised when the answer, of the gate or of a check, is no."""

    exit_code = REFUSED


class Unreachable(click.ClickException):
    """Raised when no gate answered."""

    exit_code = UNREACHABLE
