"""Follows brackets and strings to the end of a JSON value that no parser takes."""

import re
from collections.abc import Generator
from mmap import mmap

from app.errors import BodyTooLarge

# A string, a quote whose string does not end, or a run of brackets.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|"|[\[{]++|[\]}]++', re.DOTALL)
_OPENING, _CLOSING = b"[{", b"]}"
# Others are served after so many tokens: about two milliseconds.
_TOKENS_AT_ONCE = 5000


def bracketed_end(
    text: bytes | mmap | memoryview, start: int, stop: int, most_tokens: int
) -> Generator[None, None, int | None]:
    """Return where the object or array that begins at `start` ends by its brackets, None if it does not.

    A generator: it yields wherever others may be served.

    Raises:
        BodyTooLarge: it holds more than `most_tokens` strings and runs of brackets.
    """
    depth = 0
    for number, token in enumerate(_TOKEN.finditer(text, start, stop), 1):
        at, end = token.span()
        char = text[at]
        if char in _OPENING:
            depth += end - at
        elif char in _CLOSING:
            if depth <= end - at:
                return at + depth
            depth -= end - at
        elif end == at + 1:
            return None
        if number % _TOKENS_AT_ONCE == 0:
            yield
            if number > most_tokens:
                raise BodyTooLarge(
                    f"the body holds more than {most_tokens} brackets and strings, and is no JSON: send less"
                )
    return None
