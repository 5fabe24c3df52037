"""Files that a setting names, most of which are read again when they change: of secrets, and the feeds file.

Secrets, a token or an address stand one a line, as people and systems write them.
"""

import os
from codecs import BOM_UTF8
from pathlib import Path
from stat import S_ISREG
from typing import Final

from app.errors import ConfigError

MOST_BYTES: Final = 1024 * 1024


def read_file(file: Path, *, again: bool) -> bytes:
    """Return what stands in a file, of what is longer than 1 MiB the first 1 MiB and a byte.

    A pipe, such as a shell's `<(pass gate)`, can be read once, by one process. One that is to be read `again`
    is refused without waiting for whoever writes to it: that may be nobody.

    Raises:
        ConfigError: with what to say behind the file's name.
    """
    try:
        with open(file, "rb", opener=_open_at_once if again else None) as opened:
            if not again or S_ISREG(os.fstat(opened.fileno()).st_mode):
                return opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(error.strerror or str(error)) from None
    except ValueError:  # `secrets_file = "a\u0000b"`
        raise ConfigError("no name of a file holds a NUL") from None
    raise ConfigError("it is no regular file, which could be read again")


def _open_at_once(path: str, flags: int) -> int:
    """Open a file; a pipe without waiting until somebody writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)


def secret_lines(file: Path, *, again: bool = False) -> tuple[bytes, ...]:
    """The lines of a UTF-8 file, without white space around them, byte order mark and empty lines.

    Only white space of ASCII is taken off: the last byte of `à` would be a no-break space in Latin-1. For
    `again` see `read_file`.

    Raises:
        ConfigError: with a sentence that begins with the file's name; it cannot be read, is too long, or is
            not UTF-8.
    """
    try:
        content = read_file(file, again=again)
    except ConfigError as error:
        raise ConfigError(f"{_printable_name(file)} cannot be read: {error}") from None
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{file} cannot be read: it is longer than {MOST_BYTES} bytes")
    try:
        content.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{file} cannot be read: it is not UTF-8") from None
    lines = (line.strip() for line in content.removeprefix(BOM_UTF8).splitlines())
    return tuple(line for line in lines if line)


def only_line(file: Path, what: str, *, again: bool = False) -> str:
    """The one line that a file has to hold, which is `what`; for `again` see `read_file`.

    Raises:
        ConfigError: with a sentence that begins with the file's name.
    """
    lines = secret_lines(file, again=again)
    if len(lines) != 1:
        raise ConfigError(f"{file} has to hold one line, {what}; it holds {len(lines)}")
    return lines[0].decode()


def _printable_name(file: Path) -> str:
    """Return the name of a file as it may be printed, which a NUL may not."""
    return str(file).replace("\0", "\\0")


def file_mark(file: Path) -> tuple[int, ...]:
    """What changes with a file: a rewrite in one tick of the clock changes the size, a rename the inode.

    A pipe stays the same, whatever is written to it: it is not read again.
    """
    try:
        status = file.stat()
    except (OSError, ValueError):
        return ()
    if not S_ISREG(status.st_mode):
        return (status.st_ino,)
    return status.st_mtime_ns, status.st_size, status.st_ino
