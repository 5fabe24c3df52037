"""What a setting is declared with: kind of value, group, and whether it can be changed at run time."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_settings import NoDecode

MIB = 1024 * 1024
TokenList = Annotated[tuple[str, ...], NoDecode]
# The store's scripts count in doubles, exact up to 2**53.
Entries = Annotated[int, Field(ge=1, le=10**12)]
Bytes = Annotated[int, Field(le=2**50)]


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError("must be a power of two, or 0")
    return value


PowerOfTwo = Annotated[int, AfterValidator(_power_of_two)]


# The groups of settings, which are the headings of docs/settings.md in the order of their first fields.
LISTENING = "Where it listens, what it logs"
STORE = "Store"
WINDOWS = "Window and retention"
MAPS = "Bounds of the maps"
REQUEST = "Bounds of one request"
REQUESTS = "Bounds of all requests together"
ACCESS = "Access"
FEEDS = "Feeds"
CONSUMERS = "Streams and consumers"
MEMORY = "Memory: limit and pressure"
LEAKS = "Memory: leaks"
ALERTS = "Alerts"


def fixed(group: str, default: Any, **more: Any) -> Any:
    """Declare a setting that is read at the start; `more` is passed to pydantic's `Field`."""
    return Field(default, json_schema_extra={"group": group, "changeable": False}, **more)


def changeable(group: str, default: Any, **more: Any) -> Any:
    """Declare a setting that can also be changed at run time, for all gates of the store."""
    return Field(default, json_schema_extra={"group": group, "changeable": True}, **more)


def compared(group: str, default: Any, **more: Any) -> Any:
    """Declare a setting that is read at the start, each gate's own, and meant to be the same for all."""
    return Field(default, json_schema_extra={"group": group, "changeable": False, "compared": True}, **more)


def shared(group: str, default: Any, **more: Any) -> Any:
    """Declare a setting of what lies in the store: changeable, and from the start the same for all gates."""
    return Field(default, json_schema_extra={"group": group, "changeable": True, "shared": True}, **more)
