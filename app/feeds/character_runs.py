r"""Finds where runs of characters end that may be as long as a body: white space, strings, lines.

In `[NaN,` before 64 MiB of spaces, one search for the end of the spaces takes half a second, in which nobody
else is served. So each search here looks at a piece of 64 KiB at a time: half a millisecond of work mostly,
and three where all are escapes. All are generators that yield wherever others may be served.
"""

import re
from collections.abc import Callable, Generator
from mmap import mmap

STEP_BYTES = 64 * 1024
"""What is looked at before others may be served."""
LINE_END = b"\n"
SPACE_CHARS = b" \t\r\n"
_SPACE = re.compile(rb"[ \t\r\n]*+")
_PLAIN = re.compile(rb'[^,\[\]{}":\s]*+')
# Whole escapes only: what is behind a backslash may stand in the next piece.
_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
SHORT_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
"""A whole string, for one that ends within a step."""
# So that a parser can read each piece by itself, neither `\u0041` nor an emoji, `\ud83d\ude00`, is cut: its
# first half is taken only if ten more characters follow its `u` in the piece, so that the second is there.
_PARSED_STRING = re.compile(rb'[^"\\]*+(?:\\(?:[^u]|u(?![dD][89abAB].{0,7}\Z).{4})[^"\\]*+)*+', re.DOTALL)
# At the end of a text a slice is empty, which is none of these.
_SPACES = frozenset((b" ", b"\t", b"\r", b"\n"))

Text = bytes | mmap | memoryview
End = Generator[None, None, int]


def after_space(text: Text, start: int) -> End:
    """Return where the first character stands from `start` on that is no white space."""
    if text[start : start + 1] not in _SPACES:
        return start
    return (yield from _run_end(_SPACE, text, start, len(text)))


def before_space(text: Text, start: int, end: int) -> End:
    """Return where white space begins that ends at `end`, at `start` at the earliest."""
    while end > start and text[end - 1 : end] in _SPACES:
        first = max(start, end - STEP_BYTES)
        kept = len(bytes(text[first:end]).rstrip(SPACE_CHARS))
        end = first + kept
        if not kept:
            yield
    return end


def plain_end(text: Text, start: int, stop: int) -> End:
    """Return where a number, a name such as `true`, or what looks like one ends; `start` if there is none."""
    return (yield from _run_end(_PLAIN, text, start, stop))


def line_end(text: bytes | mmap, start: int, stop: int) -> End:
    """Return where the line ends that stands at `start`, at `stop` at the latest."""
    while start < stop:
        edge = min(stop, start + STEP_BYTES)
        found = text.find(LINE_END, start, edge)
        if found >= 0:
            return found
        start = edge
        yield
    return stop


def last_line(text: bytes | mmap) -> End:
    """Return where the last line begins."""
    end = len(text)
    while end:
        first = max(0, end - STEP_BYTES)
        found = text.rfind(LINE_END, first, end)
        if found >= 0:
            return found + 1
        end = first
        yield
    return 0


def string_end(
    text: Text, start: int, stop: int, check: Callable[[int, int], None] | None = None
) -> Generator[None, None, int | None]:
    """Return where the string ends whose quote stands at `start`, None if it does not.

    `check` is given where each piece of it begins and ends, and raises if that is no JSON. With it the answer
    is None as well if half an emoji stands so near the end of the text that the other half may be missing.
    """
    pattern, at = _STRING if check is None else _PARSED_STRING, start + 1
    while at < stop:
        edge = min(stop, at + STEP_BYTES)
        found = pattern.match(text, at, edge)
        end = found.end() if found else at
        is_stuck = end == at and text[at : at + 1] != b'"'  # at an escape that is none, or is cut off
        if check is not None:
            check(at, edge if is_stuck else end)
        if end < edge and text[end : end + 1] == b'"':
            return end + 1
        if is_stuck or edge == stop:
            return None
        at = end
        yield
    return None


def _run_end(run: re.Pattern[bytes], text: Text, start: int, stop: int) -> End:
    while True:
        edge = min(stop, start + STEP_BYTES)
        found = run.match(text, start, edge)
        start = found.end() if found else start
        if start < edge or edge == stop:
            return start
        yield
