"""JSON Pointers (RFC 6901): `/logs/0/transactionHash` leads to a value inside of a document."""

import re
from collections.abc import Generator

from app.decode import messages
from app.decode.item import InvalidItem
from app.feeds.values import Element, Values

_INDEX = re.compile(r"(?:0|[1-9][0-9]{0,8})\Z")
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


def find(values: Values, place: Element, pointer: Pointer) -> Generator[None, None, Element | None]:
    """Return where the value stands that a pointer leads to from a value; None if there is none.

    A generator: it yields wherever others may be served.

    Raises:
        InvalidItem: a name on the way is there twice.
        Refused: what is on the way is no JSON.
    """
    found: Element | None = place
    for name in pointer:
        if found is None:
            return None
        first = bytes(values.text[found.start : found.start + 1])
        if first == b"{":
            found = yield from _member(values, found, name)
        elif first == b"[" and _INDEX.match(name):
            found = yield from _element(values, found, int(name))
        else:
            return None
    return found


def _member(values: Values, place: Element, name: str) -> Generator[None, None, Element | None]:
    found: Element | None = None
    for member in values.members(place.start, place.end):
        if member is None:
            yield
        elif member.name == name:
            if found is not None:
                raise InvalidItem(messages.KEY_TWICE.format(name))
            found = Element(member.start, member.end)
    return found


def _element(values: Values, place: Element, index: int) -> Generator[None, None, Element | None]:
    at = 0
    for element in values.elements(place.start, place.end):
        if element is None:
            yield
        elif at == index:
            return element
        else:
            at += 1
    return None
