"""How far `tidegate send` is, on a terminal only."""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import click

from app.cli.chunks import Chunk

Advance = Callable[[Chunk], None]


@contextmanager
def progress(stream: BinaryIO) -> Iterator[Advance]:
    """Yields what to call after each chunk: a bar for a file, a count of lines where no end is known."""
    length = _length(stream)
    if not sys.stderr.isatty():
        yield lambda _: None
    elif length:
        with click.progressbar(length=length, label="sending", file=sys.stderr) as bar:
            yield lambda chunk: bar.update(chunk.read_bytes)
    else:
        yield _Counter().advance
        click.echo(err=True)


class _Counter:
    def __init__(self) -> None:
        self._lines = 0

    def advance(self, chunk: Chunk) -> None:
        self._lines += len(chunk.numbers)
        click.echo(f"\rsending  {self._lines:,} lines", nl=False, err=True)


def _length(stream: BinaryIO) -> int | None:
    """What is left of a regular file; a pipe, a device or a test's buffer has no length."""
    try:
        status = os.fstat(stream.fileno())
        return status.st_size - stream.tell() if stat.S_ISREG(status.st_mode) else None
    except OSError:
        return None
