"""Finds what the gate answered in its JSON documents, which may lack some, and makes texts safe to print."""

from typing import Any


def figure(document: Any, *path: str) -> Any:
    """Return what stands at this path of a JSON document, None where it is missing."""
    for name in path:
        if not isinstance(document, dict):
            return None
        document = document.get(name)
    return document


def members(document: Any, *path: str) -> dict[str, Any]:
    """Return the object at this path, empty where there is none."""
    found = figure(document, *path)
    return found if isinstance(found, dict) else {}


def elements(document: Any, *path: str) -> list[Any]:
    """Return the array at this path, empty where there is none."""
    found = figure(document, *path)
    return found if isinstance(found, list) else []


def plain(text: object) -> str:
    """Return text on one line that cannot move the terminal's cursor: it may repeat what a feed sent."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in str(text))
