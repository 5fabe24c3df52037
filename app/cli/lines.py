"""The file that `tidegate send` reads."""

import os
import shlex
from pathlib import Path
from typing import Any

import click


class Lines(click.File):
    """A file to read, or `-` for stdin; what cannot be read is refused with what to do instead."""

    def convert(
        self, value: str | os.PathLike[str] | Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """The open file; fails where there is nothing to read."""
        if isinstance(value, str) and Path(value).is_dir():
            everything = f"cat {shlex.quote(value)}/* | tidegate send -"
            self.fail(f"{value!r} is a directory. Name a file, or send all of them: {everything}", param, ctx)
        try:
            return super().convert(value, param, ctx)
        except RuntimeError:  # click's for a stream that the shell has closed
            self.fail("stdin is closed. Name a file, or pipe the lines in.", param, ctx)
