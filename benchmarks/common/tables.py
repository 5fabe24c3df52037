"""Tables in Markdown, their figures, and the pages whose marks they stand between."""

from collections.abc import Sequence


def quantity(value: float, unit: str = "") -> str:
    """A value with three digits or more, and its unit."""
    places = max(0, 2 - sum(abs(value) >= limit for limit in (10, 100)))
    return f"{value:,.{places}f} {unit}".strip()


def markdown(rows: Sequence[Sequence[str]], *, aligned: bool = False) -> str:
    """A table of rows, the first of which is its head; aligned it is legible in a terminal."""
    widths = [max(map(len, column)) if aligned else 1 for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def between(page: str, begin: str, end: str, text: str) -> str:
    """The page with another text between its marks.

    Raises:
        ValueError: it has no such marks.
    """
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no marks {begin} and {end}")
    return f"{before}{begin}\n{text}{end}{after}"
