"""Figures for people."""

from collections.abc import Iterable, Sequence

KIB = 1024


def size(amount: float | None) -> str:
    """Bytes in the unit that reads best."""
    if amount is None:
        return "-"
    sign, amount = ("-" if amount < 0 else ""), abs(float(amount))
    for unit in ("B", "KiB", "MiB"):
        if amount < KIB:
            return f"{sign}{amount:.0f} {unit}" if unit == "B" else f"{sign}{amount:.1f} {unit}"
        amount /= KIB
    return f"{sign}{amount:.1f} GiB"


def count(amount: int | None) -> str:
    """A whole number with its thousands marked."""
    return "-" if amount is None else f"{amount:,}"


def seconds(amount: float | None) -> str:
    """Seconds to a tenth."""
    return "-" if amount is None else f"{amount:.1f} s"


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows in columns, the first to the left and the others to the right."""
    cells = [list(row) for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = (
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)
