"""The leak detector: pure, fed with one reading at a time, one for each process.

It compares floors, what is left when the process is at rest, less what maps, connections and requests in
flight explain. All lengths follow from the leak window W (300 s by default):

| window | block | reaches back | finds |
|---|---|---|---|
| rule | W/10 (30 s) | W (5 min) | the growth in W that counts as a leak (50 MiB) |
| fast | W/10 (30 s) | 3 W (15 min) | 0.3 of that rate (180 MiB/h) |
| slow | 2 W/5 (2 min) | 24 W (2 h) | 0.6 of the slow leak's rate (6 MiB/h) |
| daily | 3 W (15 min) | 288 W (24 h) | 0.1 of the slow leak's rate (1 MiB/h); for reports only |

A block has at least two samples: with a short W and a long sample interval all windows stretch.
"""

from dataclasses import dataclass
from enum import StrEnum

from app.guard.floors import Floor, Floors
from app.guard.rises import SECONDS_AN_HOUR, Demand, rises_steadily, slope_bytes_per_second

RULE_BLOCKS = 10
FAST_BLOCKS = 30
SLOW_POINT_BLOCKS, SLOW_POINTS = 4, 60
DAILY_POINT_BLOCKS, DAILY_POINTS = 30, 96
FAST_SHARE, SLOW_SHARE, DAILY_SHARE = 0.3, 0.6, 0.1
# A slow window may be judged before it is full, so that a leak is not unseen for two hours after a restart.
SLOW_LEAST_POINTS = 45
# Of the growth found, the share that has to be left after collecting and trimming.
CONFIRMED_SHARE = 0.5


class Tier(StrEnum):
    """Which window found a rise."""

    RULE = "rule"
    FAST = "fast"
    SLOW = "slow"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class Finding:
    """A steady rise that nothing explains. `since_seconds` is on the clock of the readings."""

    tier: Tier
    growth_bytes: int
    window_seconds: float
    slope_bytes_per_hour: float
    since_seconds: float


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


class Detector:
    """Finds steady, unexplained growth of one process. Seconds are of one monotonic clock."""

    def __init__(self, rules: DetectorRules) -> None:
        self._rules = rules
        self._started: float | None = None
        self._last = 0.0
        self.is_warm = False
        self._slope = 0.0
        self._trimmed: Floor | None = None
        self._quiet_until: dict[Tier, float] = {}
        self._build()

    def _build(self) -> None:
        block = self._rules.block_seconds
        self._short = Floors(block, FAST_BLOCKS + 1)
        self._slow = Floors(SLOW_POINT_BLOCKS * block, SLOW_POINTS)
        self._daily = Floors(DAILY_POINT_BLOCKS * block, DAILY_POINTS)

    @property
    def rules(self) -> DetectorRules:
        """The settings now in force."""
        return self._rules

    @rules.setter
    def rules(self, rules: DetectorRules) -> None:
        """Windows of another length start anew; other thresholds apply to the windows as they are."""
        rebuild = rules.block_seconds != self._rules.block_seconds
        self._rules = rules
        if rebuild:
            self._build()

    @property
    def floor_bytes(self) -> int:
        """Resident bytes of the latest floor; 0 before the first reading."""
        return self._short.latest.resident_bytes if self._short.latest else 0

    @property
    def growth_bytes(self) -> int:
        """Unexplained growth from one leak window ago, or from as long ago as is known, until now."""
        floors = self._short.last(RULE_BLOCKS + 1)
        return floors[-1].unexplained_bytes - floors[0].unexplained_bytes if floors else 0

    @property
    def slope_bytes_per_hour(self) -> float:
        """Unexplained growth over the slow window, or what there is of it; 0 until something is known."""
        return self._slope

    def tick(self, at_seconds: float, resident_bytes: int, explained_bytes: int) -> Finding | None:
        """Take a reading; what the windows that it completed have found, the shortest window first."""
        self._warm_up(at_seconds)
        short = self._short.add(at_seconds, resident_bytes, explained_bytes)
        slow = self._slow.add(at_seconds, resident_bytes, explained_bytes)
        daily = self._daily.add(at_seconds, resident_bytes, explained_bytes)
        if slow:
            self._slope = SECONDS_AN_HOUR * slope_bytes_per_second(self._slow.last(SLOW_POINTS))
        if not self.is_warm:
            return None
        return (
            (self._rule(at_seconds) or self._fast(at_seconds) if short else None)
            or (self._slowly(at_seconds) if slow else None)
            or (self._over_a_day(at_seconds) if daily else None)
        )

    def restart(self) -> None:
        """Forget all windows, without a new warm-up: after an action, or when an operator says so."""
        self._slope = 0.0
        self._trimmed = None
        self._quiet_until.clear()
        self._build()

    def confirm(self, at_seconds: float, resident_bytes: int, explained_bytes: int, finding: Finding) -> bool:
        """Is it still growth now that memory was collected and trimmed? Takes the reading after that.

        What the trim gave back is taken off the windows: it lay there before the growth, too. Growth is then
        measured from the last trim to this one, where there was one; like is compared with like.
        """
        before = self._short.latest
        value = resident_bytes - explained_bytes
        start = before.unexplained_bytes - finding.growth_bytes if before else value
        confirmed = value - start >= CONFIRMED_SHARE * finding.growth_bytes
        if not confirmed and self._trimmed is not None:
            seconds = min(at_seconds - self._trimmed.at_seconds, finding.window_seconds)
            expected = finding.slope_bytes_per_hour / SECONDS_AN_HOUR * seconds
            confirmed = value - self._trimmed.unexplained_bytes >= CONFIRMED_SHARE * expected > 0
        if before is not None and value < before.unexplained_bytes:
            for window in (self._short, self._slow, self._daily):
                window.lower(before.unexplained_bytes - value)
        self._trimmed = Floor(at_seconds, resident_bytes, explained_bytes)
        return confirmed

    def _warm_up(self, at_seconds: float) -> None:
        if self._started is None:
            self._started = at_seconds
        if at_seconds < self._last:
            self.restart()
            self._started = min(self._started, at_seconds)
        self._last = at_seconds
        if not self.is_warm and at_seconds - self._started >= self._rules.leak_warmup_seconds:
            self.is_warm = True
            self.restart()

    def _rule(self, at_seconds: float) -> Finding | None:
        floors = self._short.last(RULE_BLOCKS + 1)
        rules = self._rules
        if len(floors) <= RULE_BLOCKS or self.growth_bytes < rules.leak_growth_bytes:
            return None
        rate = rules.leak_growth_bytes / rules.leak_window_seconds
        return self._judge(Tier.RULE, at_seconds, floors, Demand(0.5 * rate, parts=5, rises=4))

    def _fast(self, at_seconds: float) -> Finding | None:
        if not self._short.is_full:
            return None
        rate = FAST_SHARE * self._rules.leak_growth_bytes / self._rules.leak_window_seconds
        return self._judge(Tier.FAST, at_seconds, self._short.last(FAST_BLOCKS + 1), Demand(rate, 6, 4))

    def _slowly(self, at_seconds: float) -> Finding | None:
        if len(self._slow) < SLOW_LEAST_POINTS:
            return None
        rate = SLOW_SHARE * self._rules.slow_leak_bytes_per_hour / SECONDS_AN_HOUR
        return self._judge(Tier.SLOW, at_seconds, self._slow.last(SLOW_POINTS), Demand(rate, 6, 4))

    def _over_a_day(self, at_seconds: float) -> Finding | None:
        if not self._daily.is_full:
            return None
        rate = DAILY_SHARE * self._rules.slow_leak_bytes_per_hour / SECONDS_AN_HOUR
        return self._judge(Tier.DAILY, at_seconds, self._daily.last(DAILY_POINTS), Demand(rate, 6, 4))

    def _judge(self, tier: Tier, at_seconds: float, floors: list[Floor], demand: Demand) -> Finding | None:
        if at_seconds < self._quiet_until.get(tier, at_seconds) or not rises_steadily(floors, demand):
            return None
        seconds = floors[-1].at_seconds - floors[0].at_seconds
        self._quiet_until[tier] = at_seconds + seconds / 4
        return Finding(
            tier,
            growth_bytes=floors[-1].unexplained_bytes - floors[0].unexplained_bytes,
            window_seconds=seconds,
            slope_bytes_per_hour=SECONDS_AN_HOUR * slope_bytes_per_second(floors),
            since_seconds=floors[0].at_seconds,
        )
