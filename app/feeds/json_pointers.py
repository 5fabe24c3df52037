"""JSON Pointers (RFC 6901): `/logs/0/transactionHash` leads to a value inside of a document."""

import re

_BROKEN_ESCAPE = re.compile(r"~(?![01])")

Pointer = tuple[str, ...]
"""The names and indices on the way, with their escapes undone."""


def pointer_of(text: str) -> Pointer:
    """Return a pointer from its text; the empty one leads to the document itself.

    Raises:
        ValueError: it is none.
    """
    if text and not text.startswith("/"):
        raise ValueError(f"{text!r}: a JSON Pointer begins with a slash, as in /result/logs")
    if _BROKEN_ESCAPE.search(text):
        raise ValueError(f"{text!r}: in a JSON Pointer ~0 stands for ~ and ~1 for a slash")
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in text.split("/")[1:])
