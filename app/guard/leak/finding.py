"""The words of leak detection: which window found a rise, what it found, and the state of a process."""

from dataclasses import dataclass
from enum import StrEnum


class Tier(StrEnum):
    """The window that found a rise: 5 minutes, 15 minutes, 2 hours or 24 hours by default, in this order."""

    RULE = "rule"
    FAST = "fast"
    SLOW = "slow"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class Finding:
    """A steady rise of unexplained memory."""

    tier: Tier
    growth_bytes: int
    window_seconds: float
    slope_bytes_per_hour: float
    since_seconds: float
    """The middle of the window's first block, on the clock of the readings."""


class LeakState(StrEnum):
    """What the guard makes of one process; watch.py shows how one state follows another."""

    WARMUP = "warmup"
    OK = "ok"
    SUSPECT = "suspect"
    LEAK = "leak"
    COOLDOWN = "cooldown"
    INEFFECTIVE = "ineffective"
