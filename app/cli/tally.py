"""What became of the lines that `tidegate send` read, for its summary."""

from dataclasses import asdict, dataclass, field
from typing import Any

from app.cli.chunks import MAX_LINE_BYTES, Chunk
from app.cli.text import plain

ERRORS_SHOWN = 10


@dataclass
class Tally:
    """Counts over all chunks; `errors` are the first few, each with its line of the file and its index.

    The index is what an answer for the whole file would have: from 0, blank lines left out.
    """

    lines: int = 0
    accepted: int = 0
    duplicate: int = 0
    invalid: int = 0
    retries: int = 0
    errors: list[tuple[int, int, str]] = field(default_factory=list)
    stopped: str | None = None

    def add_too_long(self, chunk: Chunk) -> None:
        """Add the lines that are not sent."""
        before = self.lines
        self.lines += len(chunk.too_long)
        self.invalid += len(chunk.too_long)
        detail = f"longer than {MAX_LINE_BYTES} bytes, not sent"
        self._note([(number, before + chunk.place(number), detail) for number in chunk.too_long])

    def add(self, chunk: Chunk, summary: dict[str, Any]) -> None:
        """Add the gate's answer to a chunk; its indices become lines of the file."""
        before = self.lines - len(chunk.too_long)
        self.lines += len(chunk.numbers)
        self.accepted += summary["accepted"]
        self.duplicate += summary["duplicate"]
        self.invalid += summary["invalid"]
        self._note(
            [
                (number, before + chunk.place(number), plain(error.get("detail", "invalid")))
                for error in summary["errors"]
                if 0 <= error["index"] < len(chunk.numbers)
                for number in [chunk.numbers[error["index"]]]
            ]
        )

    def document(self, seconds: float) -> dict[str, Any]:
        """The summary as JSON has it."""
        errors = [{"line": line, "index": index, "detail": detail} for line, index, detail in self.errors]
        rate = self._rate(seconds)
        return asdict(self) | {"errors": errors, "seconds": seconds, "transactions_per_second": rate}

    def sentence(self, seconds: float) -> str:
        """The summary for people."""
        return (
            f"{self.lines:,} lines: {self.accepted:,} accepted, {self.duplicate:,} duplicate, "
            f"{self.invalid:,} invalid in {seconds:.1f} s "
            f"({self._rate(seconds):,.0f} a second, {self.retries} retries)"
        )

    def _rate(self, seconds: float) -> float:
        return self.lines / seconds if seconds else 0.0

    def _note(self, errors: list[tuple[int, int, str]]) -> None:
        """Keep the first by line; within a chunk they may come in any order."""
        self.errors = sorted(self.errors + errors)[:ERRORS_SHOWN]
