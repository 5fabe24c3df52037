"""What a gate hands out: transactions, gaps between them, and leases of several at once."""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

# Python reads no longer whole numbers (`sys.get_int_max_str_digits`).
MOST_DIGITS = 4300
_HEARTBEAT = re.compile(rb'\{"cursor":"[^"]*"\}')
_GAP = re.compile(rb'\{(?:"cursor":"[^"]*",)?"gap":')
_TRANSACTIONS = re.compile(r'"transactions"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")


def _whole_number(digits: str) -> int | float:
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)


_decode = json.JSONDecoder().raw_decode
_decode_any_number = json.JSONDecoder(parse_int=_whole_number).raw_decode


def _read(text: str, at: int) -> tuple[Any, int]:
    """Return the JSON value that begins here, and where it ends.

    A payload may have a number that Python refuses to read by itself, which takes half of the time otherwise.
    """
    try:
        return _decode(text, at)
    except ValueError:
        return _decode_any_number(text, at)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One accepted transaction; `line` is the JSON object of it, byte for byte as the gate wrote it.

    A whole number of more than 4,300 digits in a payload is a float. `payload` is None where it was left out.
    `cursor` is None in a lease of a Cluster of which a partition could not be asked.
    """

    cursor: str | None
    signature: str
    source: str
    slot: int | None
    first_seen_ms: int
    payload: Any = field(repr=False)
    line: bytes = field(repr=False)

    @classmethod
    def of(cls, line: bytes) -> "Transaction":
        """Read a line of `GET /stream`, or an element of a lease's `transactions`."""
        members, _ = _read(line.decode(), 0)
        return cls(
            members["cursor"],
            members["signature"],
            members["source"],
            members["slot"],
            members["first_seen_ms"],
            members.get("payload"),
            line,
        )


@dataclass(frozen=True, slots=True)
class Gap:
    """Transactions that left the gate before this reader came to them.

    `transactions` is None where nobody knows how many. The times are milliseconds since the epoch.
    """

    transactions: int | None
    from_ms: int | None
    to_ms: int | None

    @classmethod
    def of(cls, members: dict[str, Any]) -> "Gap":
        """Read the object of a gap."""
        count, from_ms, to_ms = (members.get(name) for name in ("transactions", "from_ms", "to_ms"))
        return cls(_known(count), _known(from_ms), _known(to_ms))

    @classmethod
    def of_line(cls, line: bytes) -> "Gap":
        """Read a line of which `is_gap` is true."""
        members, _ = _read(line.decode(), 0)
        return cls.of(members["gap"])

    @property
    def line(self) -> bytes:
        """The line that `GET /stream` has for such a gap."""
        members = {"transactions": self.transactions, "from_ms": self.from_ms, "to_ms": self.to_ms}
        return json.dumps({"gap": members}, separators=(",", ":")).encode()

    def __str__(self) -> str:
        """Say in a sentence what is missing, and when it was accepted."""
        ends = [end for end in (self.from_ms, self.to_ms) if end is not None]
        between = " to ".join(map(_moment, ends))
        when = f", accepted {between} UTC" if between else ""
        if self.transactions is None:
            return f"a gap: nobody knows how many transactions are missing{when}"
        return f"a gap: {self.transactions:,} transactions left before they were read{when}"


class Lag(NamedTuple):
    """How far a consumer is behind: transactions not committed yet, and the age of the oldest of them."""

    transactions: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Lease:
    """Transactions that a consumer has to commit in time; `identity` is None where there were none.

    With `is_new` the gate had no such consumer before, or had forgotten it: it began by this lease.
    """

    consumer: str
    identity: str | None
    lines: list[bytes] = field(repr=False)
    gaps: list[Gap]
    lag: Lag
    is_new: bool = False

    @classmethod
    def of(cls, consumer: str, text: str) -> "Lease":
        """Read the answer to a lease; each line is its part of the text, as the gate wrote it."""
        begin = _TRANSACTIONS.search(text)
        if begin is None:
            raise ValueError("the answer to a lease has no array of transactions")
        lines, at = [], _after_space(text, begin.end())
        while text[at] != "]":
            _, end = _read(text, at)
            lines.append(text[at:end].encode())
            at = _after_space(text, end)
        members = json.loads(text[: begin.end()] + text[at:])
        lag = members["lag"]
        gaps = [Gap.of(gap) for gap in members.get("gaps", ())]
        seen = Lag(lag["transactions"], lag["seconds"])
        return cls(consumer, members["lease"], lines, gaps, seen, is_new=members.get("new") is True)

    @property
    def transactions(self) -> list[Transaction]:
        """The transactions, read from their lines."""
        return [Transaction.of(line) for line in self.lines]


def is_gap(line: bytes) -> bool:
    """Tell whether a line of `GET /stream` tells of a gap, and not of a transaction."""
    return _GAP.match(line) is not None


def is_heartbeat(line: bytes) -> bool:
    """Tell whether a line of `GET /stream` has nothing but the cursor of the place that was reached."""
    return _HEARTBEAT.fullmatch(line) is not None


def cursor_of(line: bytes) -> str | None:
    """Return the cursor of the place behind a line, None where it has none."""
    members, _ = _read(line.decode(), 0)
    cursor: str | None = members.get("cursor")
    return cursor


def _known(number: object) -> int | None:
    """Return a whole number of a gap, and None for anything else."""
    return number if isinstance(number, int) else None


def _moment(ms: int) -> str:
    """Write a moment in UTC, and one beyond the years that Python knows, 1 to 9999, as its milliseconds."""
    try:
        return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms after 1970-01-01"


def _after_space(text: str, at: int) -> int:
    between = _BETWEEN.match(text, at)
    return between.end() if between else at
