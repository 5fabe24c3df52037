"""The words of leak detection: which window found a rise, what it found, and the state of a process."""

from dataclasses import dataclass
from enum import StrEnum


class Tier(StrEnum):
    """The window that found a rise, from the shortest (5 minutes by default) to the longest (24 hours)."""

    RULE = "rule"
    FAST = "fast"
    SLOW = "slow"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class Finding:
    """A steady rise of unexplained memory; `since_seconds` is the window's start on the readings' clock."""

    tier: Tier
    growth_bytes: int
    window_seconds: float
    slope_bytes_per_hour: float
    since_seconds: float


class LeakState(StrEnum):
    """What the guard makes of one process; `ineffective` stays until an operator resets it."""

    WARMUP = "warmup"
    OK = "ok"
    SUSPECT = "suspect"
    LEAK = "leak"
    COOLDOWN = "cooldown"
    INEFFECTIVE = "ineffective"
