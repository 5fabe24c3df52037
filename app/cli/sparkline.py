"""Draws small lines of bars in a terminal."""

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 32


def sparkline(points: Sequence[tuple[float, float]], from_ms: float, to_ms: float) -> str:
    """Draw the most of each part of the period as a bar from 0 up, and a space where nothing is known."""
    parts: dict[int, float] = {}
    for at_ms, amount in points:
        at = int((at_ms - from_ms) / max(1.0, to_ms - from_ms) * WIDTH)
        at = min(WIDTH - 1, max(0, at))
        parts[at] = max(amount, parts.get(at, 0.0))
    most = max(parts.values(), default=0.0)
    return "".join(_bar(parts.get(at), most) for at in range(WIDTH)).rstrip()


def _bar(amount: float | None, most: float) -> str:
    if amount is None:
        return " "
    return BARS[round(amount / most * (len(BARS) - 1))] if most > 0 else BARS[0]
