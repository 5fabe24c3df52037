"""Reads query parameters, and says in a sentence what is wrong with one."""

import re
import time
from collections.abc import Sequence
from typing import Final, Literal
from urllib.parse import parse_qs

from app.decode.error_messages import quoted
from app.errors import InvalidRequest
from app.store.positions import Start

_WHOLE = re.compile(r"[0-9]{1,16}\Z")
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?\Z")
_FLAGS = {"true": True, "false": False}
MOST_AHEAD_MS: Final = 60_000
"""How far a moment may be beyond the clock of the gate: that of the store or of another gate may be ahead."""
OLDEST: Literal["oldest"] = "oldest"
NOW: Literal["now"] = "now"


class Query:
    """The parameters of a request, whose names were checked before."""

    def __init__(self, query: bytes) -> None:
        # Without `max_num_fields`: the head is bounded.
        self._values = parse_qs(query.decode("latin-1"), keep_blank_values=True)

    def every(self, name: str) -> Sequence[str]:
        """Return every value of a parameter that may be repeated."""
        return self._values.get(name, ())

    def one(self, name: str) -> str | None:
        """Return the value of a parameter, None without it.

        Raises:
            InvalidRequest: it stands there twice.
        """
        values = self.every(name)
        if len(values) > 1:
            raise InvalidRequest(f"{name}: give it once")
        return values[0] if values else None

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number within its limits.

        Raises:
            InvalidRequest: it is none.
        """
        text = self.one(name)
        number = default if text is None else int(text) if _WHOLE.match(text) else None
        if number is None or not least <= number <= most:
            raise InvalidRequest(f"{name}: {quoted(text or '')} is no whole number from {least} to {most}")
        return number

    def seconds(self, name: str, default: float, least: float, most: float) -> float:
        """Return a number of seconds within its limits.

        Raises:
            InvalidRequest: it is none.
        """
        text = self.one(name)
        number = default if text is None else float(text) if _DECIMAL.match(text) else None
        if number is None or not least <= number <= most:
            raise InvalidRequest(
                f"{name}: {quoted(text or '')} is no number of seconds from {least:g} to {most:g}"
            )
        return number

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a flag.

        Raises:
            InvalidRequest: it is neither true nor false.
        """
        text = self.one(name)
        if text is None:
            return default
        if text not in _FLAGS:
            raise InvalidRequest(f"{name}: {quoted(text or '')} is neither true nor false")
        return _FLAGS[text]

    def start(self, default: Start) -> Start:
        """Return where to begin by `from`.

        Raises:
            InvalidRequest: it is neither oldest, now nor a moment, or the moment has yet to come.
        """
        text = self.one("from")
        return default if text is None else start_of(text, "from")


def start_of(text: str, name: str) -> Start:
    """Return where to begin, by a text such as `oldest` or `1795399568372`.

    Raises:
        InvalidRequest: it is neither oldest, now nor a moment, or the moment has yet to come, as microseconds
            would be that were taken for milliseconds.
    """
    if text == OLDEST:
        return OLDEST
    if text == NOW:
        return NOW
    if not _WHOLE.match(text):
        raise InvalidRequest(
            f"{name}: {quoted(text or '')} is neither oldest, now nor milliseconds since the epoch"
        )
    moment_ms, now_ms = int(text), time.time_ns() // 1_000_000
    if moment_ms > now_ms + MOST_AHEAD_MS:
        raise InvalidRequest(
            f"{name}: {moment_ms} has yet to come; it is now {now_ms} milliseconds since the epoch"
        )
    return max(moment_ms, 1)  # to the store 0 is `oldest`, of which no gap is told
