"""Writes amounts for people, from JSON documents that may lack some; what is missing shows as a dash."""

from datetime import UTC, datetime
from typing import Any

KIB = 1024
# Below, a rate is written with a tenth.
WHOLE_RATE = 10


def size(amount: Any) -> str:
    """Write bytes in the unit that reads best, from B to GiB."""
    if not is_number(amount):
        return "-"
    sign, amount = ("-" if amount < 0 else ""), abs(float(amount))
    for unit in ("B", "KiB", "MiB"):
        if amount < KIB:
            return f"{sign}{amount:.0f} {unit}" if unit == "B" else f"{sign}{amount:.1f} {unit}"
        amount /= KIB
    return f"{sign}{amount:.1f} GiB"


def count(amount: Any) -> str:
    """Write a whole number with its thousands marked."""
    return f"{amount:,}" if is_number(amount) else "-"


def rate(amount: Any) -> str:
    """Write how many a second, without the unit: whole, and small ones to a tenth."""
    if not is_number(amount):
        return "-"
    return f"{amount:.1f}" if 0 < amount < WHOLE_RATE else f"{amount:,.0f}"


def seconds(amount: Any) -> str:
    """Write seconds to a tenth."""
    return f"{amount:.1f} s" if is_number(amount) else "-"


def milliseconds(amount: Any) -> str:
    """Write seconds as milliseconds to a tenth."""
    return f"{amount * 1000:.1f} ms" if is_number(amount) else "-"


def duration(amount: Any) -> str:
    """Write seconds in the two largest units that they fill, such as `2 h 5 min`."""
    if not is_number(amount):
        return "-"
    minutes, rest = divmod(int(amount), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def moment(at_ms: Any) -> str:
    """Write a moment, given in milliseconds since the epoch, as a time of the day in UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%H:%M:%S}" if is_number(at_ms) else "-"


def share(ratio: Any) -> str:
    """Write a ratio in percent."""
    return f"{ratio:.1%}" if is_number(ratio) else "-"


def is_number(amount: Any) -> bool:
    """Tell whether a member of a JSON document is a number."""
    return isinstance(amount, int | float) and not isinstance(amount, bool)
