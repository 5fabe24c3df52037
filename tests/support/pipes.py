"""A named pipe, as a shell's `<(pass gate)` gives to a command in the place of a file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread


@contextmanager
def piped(file: Path, text: str) -> Iterator[None]:
    """Make a pipe that somebody writes a text to, once; the block has to read it to its end."""
    os.mkfifo(file)
    writer = Thread(target=file.write_text, args=(text,))
    writer.start()
    yield
    writer.join()
