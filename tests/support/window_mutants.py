"""Spoils how far PromQL looks back: its windows and its offsets."""

import re
from collections.abc import Iterator

WINDOW = re.compile(r"\[(?P<number>\d+)(?P<unit>[smhd])(?P<step>:\d+[smhd])?\]")
OFFSET = re.compile(r" offset (?P<number>\d+)(?P<unit>[smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def spoilt_windows(expression: str) -> Iterator[tuple[str, str]]:
    """How a window or an offset can be spoilt: halved or dropped, and doubled; and the expression then."""
    for at, found in enumerate(WINDOW.finditer(expression)):
        for how, seconds in (("halved", _seconds(found) // 2), ("doubled", _seconds(found) * 2)):
            new = f"[{seconds}s{found['step'] or ''}]"
            yield f"{found[0]} {how} (number {at})", _replaced(expression, found, new)
    for at, found in enumerate(OFFSET.finditer(expression)):
        for how, new in (("dropped", ""), ("doubled", f" offset {_seconds(found) * 2}s")):
            yield f"{found[0].strip()} {how} (number {at})", _replaced(expression, found, new)


def _seconds(found: re.Match[str]) -> int:
    return int(found["number"]) * SECONDS[found["unit"]]


def _replaced(expression: str, found: re.Match[str], new: str) -> str:
    return expression[: found.start()] + new + expression[found.end() :]
