"""Cuts an NDJSON stream into chunks to post, in bounded memory, and remembers which line is which."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

MAX_LINE_BYTES = 1024 * 1024
BLANK = b" \t\r\n"


@dataclass
class Chunk:
    """Lines to post together: `numbers[i]` is where in the file line i of `body` stands, counted from 1."""

    body: bytearray = field(default_factory=bytearray)
    numbers: list[int] = field(default_factory=list)
    too_long: list[int] = field(default_factory=list)
    read_bytes: int = 0

    def add(self, number: int, line: bytes) -> None:
        """Add a line, which comes without its end."""
        self.body += line
        self.body += b"\n"
        self.numbers.append(number)

    def place(self, number: int) -> int:
        """How many lines of the chunk, too long ones included, come before this line of the file."""
        return bisect_left(self.numbers, number) + bisect_left(self.too_long, number)


def chunks(stream: BinaryIO, max_lines: int, max_bytes: int) -> Iterator[Chunk]:
    """Chunks of at most so many lines and bytes, but of one line at least; blank lines are left out."""
    chunk, number = Chunk(), 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        is_too_long = len(line) > MAX_LINE_BYTES and not line.endswith(b"\n")
        stripped = b"" if is_too_long else line.strip(BLANK)
        if chunk.numbers and len(chunk.body) + len(stripped) >= max_bytes:
            yield chunk
            chunk = Chunk()
        chunk.read_bytes += len(line)
        if is_too_long:
            chunk.read_bytes += _skip_line(stream)
            chunk.too_long.append(number)
        elif stripped:
            chunk.add(number, stripped)
        if len(chunk.numbers) >= max_lines:
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
