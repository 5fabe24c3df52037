"""Finds where the values of a JSON text stand, without making objects of them.

A provider's block is one object of many megabytes, and its thousand transactions have to be told apart, each
with the bytes it was sent as. A strict parser does it: given `{"fee":5000},{"fee":...` it reads the first
value and refuses the comma behind it with the byte at which it stands, which is where the value ends. So each
value is read by the parser once, at its speed, and others can be served between two values.

A value may be one that the parser refuses: `{"fee":NaN}`, one nested a million levels, one with half an
emoji. So that it spoils no neighbour, its end can be found by brackets instead (value_end_by_brackets.py).

What takes long is a generator here, which yields None wherever others may be served.
"""

from collections.abc import Generator
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from app.decode.array_scanner import MAX_TOKENS
from app.decode.error_messages import CUT_OFF
from app.decode.event_loop_turns import PACE_BYTES
from app.errors import BodyTooLarge
from app.feeds.character_runs import SHORT_STRING, STEP_BYTES, Text, after_space, plain_end, string_end
from app.feeds.value_end_by_brackets import bracketed_end
from app.feeds.value_end_by_parser import value_end

WINDOW_BYTES = 1024 * 1024
"""What the parser is given at most in one call: a millisecond of work."""
MOST_WALKED = 1_000_000
"""Five seconds of work; a body of 32 MiB may hold 16 million times `1,`."""
# Others may be served after PACE_BYTES of work, in which a value counts as so many bytes more than it has.
VALUE_COST = 4096
# How many levels of values longer than a window are walked through, one inside the other.
_MOST_LEVELS = 8
_NULL = b"null"
_OPENINGS = frozenset((b"{", b"["))
_LONG_NUMBER = f"JSON has a number of more than {WINDOW_BYTES} bytes (byte 0)"
_raw_decoder = msgspec.json.Decoder(msgspec.Raw)
_name_decoder = msgspec.json.Decoder(str)

T = TypeVar("T")


class Refused(ValueError):
    """The text is no JSON: the parser's error for the value that begins at byte `start` of it."""

    def __init__(self, error: Exception, start: int) -> None:
        super().__init__(str(error))
        self.error, self.start = error, start


class Member(NamedTuple):
    """A member of an object: its name, where its value stands, and whether the parser refuses that."""

    name: str
    start: int
    end: int
    is_refused: bool


class Element(NamedTuple):
    """Where an element of an array stands."""

    start: int
    end: int


class _Place(Protocol):
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


def is_null(text: Text, place: _Place) -> bool:
    """Tell whether null stands there; of a long value nothing is copied to find out."""
    return place.end - place.start == len(_NULL) and text[place.start : place.end] == _NULL


def _drained(walk: Generator[T | None, None, int]) -> Generator[None, None, int]:
    """Return what a walk returns, and of what it yields keep only the pauses."""
    while True:
        try:
            place = next(walk)
        except StopIteration as done:
            return int(done.value)
        if place is None:
            yield


class Values:
    """The values of one text.

    While `is_tolerant`, what the parser refuses ends where its brackets end; else it is an error. A body that
    as a whole is no JSON, or that has lines, is read so (provider_body.py).
    """

    def __init__(self, text: Text) -> None:
        self.text = text
        self.is_tolerant = False
        self._walked = 0
        # Of long values: where they end, and which of them hold what was tolerated. None is read twice.
        self._long_ends: dict[int, int] = {}
        self._long_refused: set[int] = set()
        self._tolerated = 0
        self._bracketed_ends: dict[int, int] = {}  # of those that no parser takes

    def elements(self, start: int, stop: int, level: int = 0) -> Generator[Element | None, None, int]:
        """Yield where the elements of the array at `start` stand, and return where it ends."""
        text, work, before = self.text, 0, start
        at = yield from after_space(text, start + 1)
        if text[at : at + 1] == b"]":
            return at + 1
        while True:
            end = self._short_end(at, stop)
            if end is None:
                end, _ = yield from self._end(at, stop, level)
            self._count()
            yield Element(at, end)
            work, before = work + end - before + VALUE_COST, end
            if work > PACE_BYTES:
                work = 0
                yield None
            begin, at = at, (yield from after_space(text, end))
            mark = text[at : at + 1]
            if mark == b"]":
                return at + 1
            self._expect(mark, b",", at, begin)
            at = yield from after_space(text, at + 1)

    def members(self, start: int, stop: int, level: int = 0) -> Generator[Member | None, None, int]:
        """Yield the members of the object at `start`, and return where it ends."""
        text, work, before = self.text, 0, start
        at = yield from after_space(text, start + 1)
        if text[at : at + 1] == b"}":
            return at + 1
        while True:
            name, colon = yield from self._name(at, stop)
            self._expect(text[colon : colon + 1], b":", colon, at)
            value = yield from after_space(text, colon + 1)
            end, is_refused = self._short_end(value, stop), False
            if end is None:
                end, is_refused = yield from self._end(value, stop, level)
            self._count()
            yield Member(name, value, end, is_refused)
            work, before = work + end - before + VALUE_COST, end
            if work > PACE_BYTES:
                work = 0
                yield None
            begin, at = at, (yield from after_space(text, end))
            mark = text[at : at + 1]
            if mark == b"}":
                return at + 1
            self._expect(mark, b",", at, begin)
            at = yield from after_space(text, at + 1)

    def _count(self) -> None:
        self._walked += 1
        if self._walked > MOST_WALKED:
            raise BodyTooLarge(
                f"the body holds more than {MOST_WALKED} values to tell apart: send less at once"
            )

    def _name(self, start: int, stop: int) -> Generator[None, None, tuple[str, int]]:
        """Return the name of the member that begins there, and where its colon should stand.

        Of a name that is longer than 64 KiB only the beginning is returned, which is longer than any other.
        """
        text = self.text
        short, end = SHORT_STRING.match(text, start, start + STEP_BYTES), None
        if short:
            end = short.end()
        elif text[start : start + 1] == b'"':
            end = yield from self._string_end(start, stop)
        if end is None:
            raise Refused(msgspec.DecodeError("JSON is malformed: a name is missing (byte 0)"), start)
        colon = yield from after_space(text, end)
        raw = bytes(text[start : min(end, start + STEP_BYTES)])
        if end - start > STEP_BYTES:
            return raw.decode(errors="replace"), colon
        try:
            return _name_decoder.decode(raw), colon
        except (ValueError, RecursionError) as error:
            if not self.is_tolerant:
                raise Refused(error, start) from None
            self._tolerated += 1
            return raw.decode(errors="replace"), colon

    def _string_end(self, start: int, stop: int) -> Generator[None, None, int | None]:
        """Return where the string at `start` ends, None if it does not.

        Raises:
            Refused: it is no JSON, and nothing is tolerated.
        """
        return string_end(self.text, start, stop, None if self.is_tolerant else self._check_string)

    def _check_string(self, start: int, end: int) -> None:
        """Refuse what stands in a string if the parser refuses it."""
        try:
            _raw_decoder.decode(b'"' + bytes(self.text[start:end]) + b'"')
        except msgspec.DecodeError as error:
            raise Refused(error, start - 1) from None

    def _expect(self, found: Text, mark: bytes, at: int, begin: int) -> None:
        """Refuse a text that has not `mark` at `at`; one that ends there is refused from `begin` on."""
        if not found:
            raise Refused(msgspec.DecodeError(CUT_OFF), begin)
        if found == mark:
            return
        text = f"JSON is malformed: expected {mark.decode()!r} (byte 0)"
        raise Refused(msgspec.DecodeError(text), at)

    def _short_end(self, start: int, stop: int) -> int | None:
        """Return where the value at `start` ends if the parser takes it and it ends within a window."""
        window = min(stop, start + WINDOW_BYTES)
        try:
            end = value_end(self.text, start, window)
        except (ValueError, RecursionError):
            return None
        return end if end < window else None

    def _end(self, start: int, stop: int, level: int) -> Generator[None, None, tuple[int, bool]]:
        """Return where the value at `start` ends, and whether the parser refuses it or anything in it.

        Raises:
            Refused: the parser refuses it, and nothing is tolerated or its brackets do not end.
        """
        before = self._tolerated
        try:
            end = yield from self.strict_end(start, stop, level)
        except Refused:
            self._tolerated += 1
            found = (yield from self.lenient_end(start, stop)) if self.is_tolerant else None
            if found is None:
                raise
            return found, True
        if self._tolerated > before:  # in the walk through a long value
            self._long_refused.add(start)
        return end, start in self._long_refused

    def strict_end(self, start: int, stop: int, level: int = 0) -> Generator[None, None, int]:
        """Return where the value at `start` ends, which is at `level` of the long ones.

        Raises:
            Refused: the parser refuses it.
        """
        if start in self._long_ends:
            return self._long_ends[start]
        text = self.text
        window, opening = min(stop, start + WINDOW_BYTES), text[start : start + 1]
        is_container = opening in _OPENINGS
        try:
            end = value_end(text, start, window)
        except (ValueError, RecursionError) as error:
            is_long = window < stop and (opening == b'"' or (is_container and level < _MOST_LEVELS))
            if not is_long or isinstance(error, RecursionError):
                raise Refused(error, start) from None
        else:
            if end < window or end == stop or is_container or opening == b'"':
                return end
            raise Refused(msgspec.DecodeError(_LONG_NUMBER), start)
        # It does not end within the window, or is no JSON there: the walk through it finds out.
        yield
        if is_container:
            walk = self.elements if opening == b"[" else self.members
            end = yield from _drained(walk(start, stop, level + 1))
        else:
            found = yield from string_end(text, start, stop, self._check_string)
            if found is None:
                raise Refused(msgspec.DecodeError(CUT_OFF), start)
            end = found
        self._long_ends[start] = end
        return end

    def lenient_end(self, start: int, stop: int) -> Generator[None, None, int | None]:
        """Return where the value at `start` ends by its looks, be it JSON or not; None if it has no end."""
        if self.text[start : start + 1] in (b"{", b"["):
            if start not in self._bracketed_ends:
                end = yield from bracketed_end(self.text, start, stop, MAX_TOKENS)
                if end is None or end - start <= STEP_BYTES:
                    return end
                self._bracketed_ends[start] = end
            return self._bracketed_ends[start]
        if self.text[start : start + 1] == b'"':
            return (yield from string_end(self.text, start, stop))
        end = yield from plain_end(self.text, start, stop)
        return end if end > start else None
