"""Cuts the lines that `tidegate send` reads into batches, in bounded memory, and counts them by outcome."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO

from app.cli.gate_answers import plain

MAX_LINE_BYTES = 1024 * 1024
BLANK = b" \t\r\n"
ERRORS_SHOWN = 10


@dataclass
class Batch:
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
        """Count the lines of the batch, too long ones included, that come before this line of the file."""
        return bisect_left(self.numbers, number) + bisect_left(self.too_long, number)


def batches(stream: BinaryIO, max_lines: int, max_bytes: int) -> Iterator[Batch]:
    """Yield batches of at most so many lines and bytes, but of one line at least, without blank lines."""
    batch, number = Batch(), 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        is_too_long = len(line) > MAX_LINE_BYTES and not line.endswith(b"\n")
        stripped = b"" if is_too_long else line.strip(BLANK)
        if batch.numbers and len(batch.body) + len(stripped) >= max_bytes:
            yield batch
            batch = Batch()
        batch.read_bytes += len(line)
        if is_too_long:
            batch.read_bytes += _skip_line(stream)
            batch.too_long.append(number)
        elif stripped:
            batch.add(number, stripped)
        if len(batch.numbers) >= max_lines:
            yield batch
            batch = Batch()
    yield batch


def _skip_line(stream: BinaryIO) -> int:
    skipped = 0
    while part := stream.readline(MAX_LINE_BYTES):
        skipped += len(part)
        if part.endswith(b"\n"):
            break
    return skipped


@dataclass
class LineCounts:
    """Counts over all batches; `errors` are the first few, each with its line of the file and its index.

    The index is what an answer for the whole file would have: from 0, blank lines left out.
    """

    lines: int = 0
    accepted: int = 0
    duplicate: int = 0
    invalid: int = 0
    retries: int = 0
    errors: list[tuple[int, int, str]] = field(default_factory=list)
    stopped: str | None = None

    def add_too_long(self, batch: Batch) -> None:
        """Add the lines that are not sent."""
        before = self.lines
        self.lines += len(batch.too_long)
        self.invalid += len(batch.too_long)
        detail = f"longer than {MAX_LINE_BYTES} bytes, not sent"
        self._note([(number, before + batch.place(number), detail) for number in batch.too_long])

    def add(self, batch: Batch, summary: dict[str, Any]) -> None:
        """Add the gate's answer to a batch; its indices become lines of the file."""
        before = self.lines - len(batch.too_long)
        self.lines += len(batch.numbers)
        self.accepted += summary["accepted"]
        self.duplicate += summary["duplicate"]
        self.invalid += summary["invalid"]
        self._note(
            [
                (number, before + batch.place(number), plain(error.get("detail", "invalid")))
                for error in summary["errors"]
                if 0 <= error["index"] < len(batch.numbers)
                for number in [batch.numbers[error["index"]]]
            ]
        )

    def document(self, seconds: float) -> dict[str, Any]:
        """Return the summary as `--json` prints it."""
        errors = [{"line": line, "index": index, "detail": detail} for line, index, detail in self.errors]
        rate = self._rate(seconds)
        return asdict(self) | {"errors": errors, "seconds": seconds, "transactions_per_second": rate}

    def sentence(self, seconds: float) -> str:
        """Return the summary as people read it."""
        return (
            f"{self.lines:,} lines: {self.accepted:,} accepted, {self.duplicate:,} duplicate, "
            f"{self.invalid:,} invalid in {seconds:.1f} s "
            f"({self._rate(seconds):,.0f} a second, {self.retries} retries)"
        )

    def _rate(self, seconds: float) -> float:
        return self.lines / seconds if seconds else 0.0

    def _note(self, errors: list[tuple[int, int, str]]) -> None:
        """Keep the first by line; within a batch they may come in any order."""
        self.errors = sorted(self.errors + errors)[:ERRORS_SHOWN]
