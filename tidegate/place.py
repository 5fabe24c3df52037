"""Where a reader of `GET /stream` is: what to ask for when it connects, first or again."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from typing import Literal

import httpx

from tidegate.records import cursor_of, is_gap, is_heartbeat

Start = Literal["oldest", "now"] | int


@dataclass
class Place:
    """The place behind the last line that was handed on, and how many transactions are left to read.

    `after` is the cursor of that line. Without one, `start` says where to begin. `left` is None where there
    is no end.
    """

    start: Start
    after: str | None
    left: int | None
    _is_lost: bool = False

    @property
    def params(self) -> dict[str, str | int]:
        """The parameters that make a gate begin here."""
        begin: dict[str, str | int] = {"from": self.start} if self.after is None else {"after": self.after}
        return begin if self.left is None else begin | {"limit": self.left}

    def begin(self, answer: httpx.Response) -> None:
        """Note when a stream from now on began, by the clock of its gate.

        Should it break off before its first line, the next one begins in that second and loses nothing.
        """
        date = parsedate_tz(answer.headers.get("date"))
        if self.after is None and self.start == "now" and date:
            self.start = mktime_tz(date) * 1000

    def lose(self) -> None:
        """Begin at the oldest that is kept, since no gate knows the cursor any more."""
        self.start, self.after, self._is_lost = "oldest", None, True

    def is_lost(self) -> bool:
        """Tell once, after `lose`, that nobody knows what is missing before the place."""
        is_lost, self._is_lost = self._is_lost, False
        return is_lost

    def pass_by(self, lines: Sequence[bytes]) -> None:
        """Move behind these lines, or to where a heartbeat among them says the gate is."""
        cursors = (cursor_of(line) for line in reversed(lines))
        self.after = next((cursor for cursor in cursors if cursor is not None), self.after)
        if self.left is not None:
            self.left = max(0, self.left - sum(not (is_gap(line) or is_heartbeat(line)) for line in lines))


async def whole_lines(answer: httpx.Response) -> AsyncGenerator[list[bytes], None]:
    """Yield the lines of a body as they come, without empty ones; what a lost connection cut off is left out.

    The list is empty where nothing but an empty line came, which says that the gate is there.
    """
    rest = b""
    async for piece in answer.aiter_raw():
        whole, end, rest = (rest + piece).rpartition(b"\n")
        if end:
            yield [line for line in whole.split(b"\n") if line]
