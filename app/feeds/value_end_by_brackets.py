"""Follows brackets and strings to the end of a JSON value that no parser takes."""

import re
from collections.abc import Generator
from mmap import mmap

from app.errors import BodyTooLarge
from app.feeds.character_runs import STEP_BYTES, string_end

# A string, a quote whose string does not end, or a run of brackets.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|"|[\[{]++|[\]}]++', re.DOTALL)
_OPENING, _CLOSING = b"[{", b"]}"
# Others are served after so many tokens, about two milliseconds, or after 64 KiB that may have none.
_TOKENS_AT_ONCE = 5000


def bracketed_end(
    text: bytes | mmap | memoryview, start: int, stop: int, most_tokens: int
) -> Generator[None, None, int | None]:
    """Return where the object or array that begins at `start` ends by its brackets, None if it does not.

    A generator: it yields wherever others may be served.

    Raises:
        BodyTooLarge: it holds more than `most_tokens` strings and runs of brackets.
    """
    depth = tokens = 0
    while start < stop:
        edge, long_string = min(stop, start + STEP_BYTES), -1
        for token in _TOKEN.finditer(text, start, edge):
            at, end = token.span()
            char = text[at]
            tokens += 1
            if char in _OPENING:
                depth += end - at
            elif char in _CLOSING:
                if depth <= end - at:
                    return at + depth
                depth -= end - at
            elif end == at + 1:
                long_string = at
                break
            if tokens % _TOKENS_AT_ONCE == 0:
                yield
                _check(tokens, most_tokens)
        if long_string >= 0:
            string = yield from string_end(text, long_string, stop)
            if string is None:
                return None
            edge = string
        yield
        start = edge
    return None


def _check(tokens: int, most: int) -> None:
    if tokens > most:
        raise BodyTooLarge(f"the body holds more than {most} brackets and strings, and is no JSON: send less")
