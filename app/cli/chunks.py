"""Cuts an NDJSON stream into chunks to post, in bounded memory, and remembers which line is which."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

MAX_LINE_BYTES = 1024 * 1024


@dataclass
class Chunk:
    """Lines to post together: `numbers[i]` is where in the file line i stands, counted from 1."""

    lines: list[bytes] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    too_long: list[int] = field(default_factory=list)
    read_bytes: int = 0
    size: int = 0

    @property
    def body(self) -> bytes:
        """The lines as a request body."""
        return b"\n".join(self.lines) + b"\n"


def chunks(stream: BinaryIO, max_lines: int, max_bytes: int) -> Iterator[Chunk]:
    """Chunks of at most so many lines and about so many bytes; blank lines are left out."""
    chunk, number = Chunk(), 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        chunk.read_bytes += len(line)
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            chunk.read_bytes += _skip_line(stream)
            chunk.too_long.append(number)
            continue
        if stripped := line.strip():
            chunk.lines.append(stripped)
            chunk.numbers.append(number)
            chunk.size += len(stripped)
        if len(chunk.lines) >= max_lines or chunk.size >= max_bytes:
            yield chunk
            chunk = Chunk()
    yield chunk


def _skip_line(stream: BinaryIO) -> int:
    skipped = 0
    while part := stream.readline(MAX_LINE_BYTES):
        skipped += len(part)
        if part.endswith(b"\n"):
            break
    return skipped
