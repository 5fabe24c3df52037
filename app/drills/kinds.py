"""The drills: what each pretends, which alerts follow from it, how long it goes on, how much it may take.

| drill | what is so | what only seems so |
|---|---|---|
| leak | this process keeps bytes that it has no use for | nothing |
| full | nothing | that a map is near its limit, by `tidegate_drill_map_fill_ratio` alone |
| pressure | the guard acts at `soft`, or at `hard` and refuses ingest | the bytes in use that it goes by |
| store-down | the gate calls no store and refuses ingest | that the store is down |
"""

from enum import StrEnum

from pydantic import Field

from app.errors import ClientError
from app.models import JsonModel, MapName
from app.settings.model import Settings

SHORTEST_SECONDS, LONGEST_SECONDS = 1, 1800
MOST_LEAKED_BYTES = 1024 * 1024 * 1024
FILL_RATIO = 0.95
"""What a drill `full` says of its map."""


class DrillKind(StrEnum):
    """What is practised."""

    LEAK = "leak"
    FULL = "full"
    PRESSURE = "pressure"
    STORE_DOWN = "store-down"


class DrillEnd(StrEnum):
    """How a drill ended."""

    ANSWERED = "answered"
    """The cleanup for the alert of `full` was run, or the leak was found and examined."""
    TIME = "time"
    """The time it was given was up."""
    STOPPED = "stopped"
    """An operator ended it, or the gate stopped."""
    MEMORY = "memory"
    """The memory that it kept was needed."""


class DrillRefused(ClientError):
    """A drill cannot begin: another one is on, or its result could not be told from the truth."""

    status, slug, title = 409, "drill-refused", "The drill cannot begin now"


class DrillOrder(JsonModel):
    """What one drill is to do."""

    drill: DrillKind
    seconds: float
    bytes: int | None = Field(description="The most that a leak keeps; None for other drills.")
    map: MapName | None = Field(description="The map that seems full; None for other drills.")
    refuse_ingest: bool


def default_seconds(kind: DrillKind, settings: Settings, *, refuse_ingest: bool) -> float:
    """Return the time that the alerts of a drill need as they are shipped, and some more."""
    if kind is DrillKind.LEAK:
        return min(LONGEST_SECONDS, 2 * settings.leak_window_seconds)
    if kind is DrillKind.PRESSURE:
        return 180.0 if refuse_ingest else 420.0
    return 300.0 if kind is DrillKind.FULL else 150.0


def default_bytes(settings: Settings) -> int:
    """Return what leaks by default: in a leak window, half as much again as makes a leak."""
    return min(MOST_LEAKED_BYTES, 3 * settings.leak_growth_bytes)


def pressure_share(settings: Settings, *, refuse_ingest: bool) -> float:
    """Return the share of the memory limit that a drill says is in use: within `soft`, or within `hard`."""
    if refuse_ingest:
        return (1 + settings.memory_hard_ratio) / 2
    return max(settings.memory_soft_ratio, 0.95 * settings.memory_hard_ratio)


def alerts_of(order: DrillOrder) -> list[str]:
    """Return the alerts that a drill raises by the shipped rules, the one that it is for first."""
    if order.drill is DrillKind.FULL:
        return ["TidegateDrillFull"]
    pressure = "TidegateMemoryPressureHard" if order.refuse_ingest else "TidegateMemoryNearLimit"
    found = {
        DrillKind.LEAK: "TidegateLeakConfirmed",
        DrillKind.PRESSURE: pressure,
        DrillKind.STORE_DOWN: "TidegateStoreDown",
    }
    return [found[order.drill], "TidegateDrillOn"]


def effect_of(order: DrillOrder, settings: Settings) -> str:
    """Say in a sentence what a drill does to the gate, and to feeds, while it is on."""
    if order.drill is DrillKind.LEAK:
        return (
            f"This process keeps up to {(order.bytes or 0) >> 20} MiB that it has no use for, until the "
            "guard has found and examined the leak; the guard closes idle connections of clients for it."
        )
    if order.drill is DrillKind.FULL:
        return (
            f"tidegate_drill_map_fill_ratio says that {order.map} is at {FILL_RATIO:.0%} of its limit, until "
            "a normal cleanup was run for the alert. The map itself is left as it is."
        )
    if order.drill is DrillKind.STORE_DOWN:
        return (
            "This gate takes its store for unreachable: feeds are answered 503 store-unavailable and /readyz "
            "503 until the end. The store and other gates are left alone."
        )
    share = pressure_share(settings, refuse_ingest=order.refuse_ingest)
    what = (
        "ingest is answered 503 memory-pressure and idle connections are closed"
        if order.refuse_ingest
        else "memory is given back, and an embedded store may be cleaned up in an emergency"
    )
    return f"The guard takes memory to be at {share:.0%} of its limit: {what} until the end."
