"""Files that hold secrets, a token or an address a line, as people and systems write them."""

from codecs import BOM_UTF8
from pathlib import Path

from app.errors import ConfigError


def secret_lines(file: Path) -> tuple[bytes, ...]:
    """The lines of a UTF-8 file, without white space around them, byte order mark and empty lines.

    Only white space of ASCII is taken off: the last byte of `à` would be a no-break space in Latin-1.

    Raises:
        ConfigError: with a sentence that begins with the file's name; it cannot be read, or is not UTF-8.
    """
    try:
        content = file.read_bytes()
        content.decode()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file} cannot be read: it is not UTF-8") from None
    lines = (line.strip() for line in content.removeprefix(BOM_UTF8).splitlines())
    return tuple(line for line in lines if line)


def file_mark(file: Path) -> tuple[int, ...]:
    """What changes with a file: a rewrite in one tick of the clock changes the size, a rename the inode."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size, status.st_ino
