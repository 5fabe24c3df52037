"""The settings of the leak detector, and the growth that follows from them as suspicious for each window.

detector.py says what the windows (`Tier`) are, and floors.py how a rise is held against a `Demand`.
"""

from dataclasses import dataclass

from app.guard.leak.finding import Tier
from app.guard.leak.floors import Demand

SECONDS_AN_HOUR = 3600
RULE_BLOCKS = 10
"""How many of the shortest blocks the leak window has."""
# The least slopes: shares of the leak's growth within its window for the rule and fast tiers, and of a slow
# leak's rate for the slow and daily tiers.
RULE_SHARE, FAST_SHARE, SLOW_SHARE, DAILY_SHARE = 0.5, 0.2, 0.5, 0.1


@dataclass(frozen=True, slots=True)
class DetectorRules:
    """The detector's settings; they may be replaced while it runs."""

    leak_window_seconds: float = 300
    leak_growth_bytes: int = 50 << 20
    leak_warmup_seconds: float = 1800
    slow_leak_bytes_per_hour: int = 10 << 20
    sample_seconds: float = 5

    @property
    def block_seconds(self) -> float:
        """The length of the shortest block."""
        return max(self.leak_window_seconds / RULE_BLOCKS, 2 * self.sample_seconds)

    @property
    def rule_bytes_per_second(self) -> float:
        """The rate of a leak that grows by just the threshold within the leak window."""
        return self.leak_growth_bytes / self.leak_window_seconds

    @property
    def slow_bytes_per_second(self) -> float:
        """The rate of a slow leak."""
        return self.slow_leak_bytes_per_hour / SECONDS_AN_HOUR

    def demand(self, tier: Tier) -> Demand:
        """What the floors of a tier's window have to show to be suspicious."""
        if tier is Tier.RULE:
            # From the median of each of five parts to the next there are four steps. All four have to rise
            # by half of what the least slope brings in that time, or more (`Demand.rise_share`).
            return Demand(RULE_SHARE * self.rule_bytes_per_second, parts=5, rises=4)
        least = {
            Tier.FAST: FAST_SHARE * self.rule_bytes_per_second,
            Tier.SLOW: SLOW_SHARE * self.slow_bytes_per_second,
            Tier.DAILY: DAILY_SHARE * self.slow_bytes_per_second,
        }
        # Between six parts there are five such steps. Four of them have to rise by as much.
        return Demand(least[tier], parts=6, rises=4)
