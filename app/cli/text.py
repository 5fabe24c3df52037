"""Writes figures for people, from JSON documents that may lack some; what is missing shows as a dash."""

from typing import Any

KIB = 1024


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


def size(amount: Any) -> str:
    """Write bytes in the unit that reads best, from B to GiB."""
    if not _is_number(amount):
        return "-"
    sign, amount = ("-" if amount < 0 else ""), abs(float(amount))
    for unit in ("B", "KiB", "MiB"):
        if amount < KIB:
            return f"{sign}{amount:.0f} {unit}" if unit == "B" else f"{sign}{amount:.1f} {unit}"
        amount /= KIB
    return f"{sign}{amount:.1f} GiB"


def count(amount: Any) -> str:
    """Write a whole number with its thousands marked."""
    return f"{amount:,}" if _is_number(amount) else "-"


def seconds(amount: Any) -> str:
    """Write seconds to a tenth."""
    return f"{amount:.1f} s" if _is_number(amount) else "-"


def milliseconds(amount: Any) -> str:
    """Write seconds as milliseconds to a tenth."""
    return f"{amount * 1000:.1f} ms" if _is_number(amount) else "-"


def share(ratio: Any) -> str:
    """Write a ratio in percent."""
    return f"{ratio:.1%}" if _is_number(ratio) else "-"


def _is_number(amount: Any) -> bool:
    return isinstance(amount, int | float) and not isinstance(amount, bool)
