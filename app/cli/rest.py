"""How to go on after `tidegate send` stopped, as a line to paste."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click
from click.core import ParameterSource

from app.cli.client import without_password


def rest(file: BinaryIO, first: int) -> str:
    """The command that sends a file from one of its lines on, with the options that were given.

    To send all of it again would let the older lines in twice once their window is over.
    """
    name = getattr(file, "name", "-")
    is_file = isinstance(name, str) and name not in ("-", "<stdin>")
    tail = f"tail -n +{first} {shlex.quote(str(name))}" if is_file else f"… | tail -n +{first}"
    return f"Then send the rest: {tail} | {shlex.join([_program(), 'send', *_options(), '-'])}"


def _program() -> str:
    """How the command was called, where its name alone would not find it."""
    called = sys.argv[0]
    is_found = Path(called).name != "tidegate" or shutil.which("tidegate") == called
    return "tidegate" if is_found else called


def _options() -> Iterator[str]:
    """The options of the command line; what came from variables is still in the shell."""
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
