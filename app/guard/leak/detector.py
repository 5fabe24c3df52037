"""The leak detector: pure, fed with one reading at a time, one for each process.

It compares floors, what is left when the process is at rest, less what maps, connections and requests in
flight explain. All lengths follow from the leak window W (300 s by default):

| window | block | reaches back | suspects |
|---|---|---|---|
| rule | W/10 (30 s) | W (5 min) | the growth in W that counts as a leak (50 MiB) |
| fast | W/10 (30 s) | 3 W (15 min) | 0.2 of that rate (120 MiB/h) |
| slow | 2 W/5 (2 min) | 24 W (2 h) | 0.5 of the slow leak's rate (5 MiB/h) |
| daily | 3 W (15 min) | 288 W (24 h) | 0.1 of the slow leak's rate (1 MiB/h); for reports only |

What a window suspects is examined by trims a tenth of the window apart (`suspicion`) before it is proven.

A block has at least two samples: with a short W and a long sample interval all windows stretch.
"""

from dataclasses import dataclass
from enum import StrEnum

from app.guard.leak.confirmation import Suspicion
from app.guard.leak.floors import Floor, Floors
from app.guard.leak.steady_rise import SECONDS_AN_HOUR, Demand, rises_steadily, slope_bytes_per_second

RULE_BLOCKS = 10
FAST_BLOCKS = 30
SLOW_POINT_BLOCKS, SLOW_POINTS = 4, 60
DAILY_POINT_BLOCKS, DAILY_POINTS = 30, 96
# The least slopes: shares of the rule's rate, and of the slow leak's.
RULE_SHARE, FAST_SHARE, SLOW_SHARE, DAILY_SHARE = 0.5, 0.2, 0.5, 0.1
# What is left after trims has to grow faster than the least slope that makes it suspicious.
PROOF_SHARE = 1.4
# A window that found a rise is asked again after this share of its length.
QUIET_SHARE = 0.25


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
        self._slope: float | None = None
        self._suspected: Finding | None = None
        self._suspicion: Suspicion | None = None
        self._refuted: dict[Tier, int] = {}
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
            self.restart()

    @property
    def is_suspicious(self) -> bool:
        """Whether a finding is under examination, neither proven nor refuted yet."""
        return self._suspicion is not None

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
        if self._slope is None:
            self._slope = SECONDS_AN_HOUR * slope_bytes_per_second(self._slow.last(SLOW_POINTS))
        return self._slope

    def tick(self, at_seconds: float, resident_bytes: int, explained_bytes: int) -> Finding | None:
        """Take a reading; what the windows have found, the shortest first, or a finding to be examined again.

        Each finding but a daily one asks for collecting and trimming, then for `confirm` with a new reading.
        """
        self._follow_clock(at_seconds)
        short = self._short.add(at_seconds, resident_bytes, explained_bytes)
        slow = self._slow.add(at_seconds, resident_bytes, explained_bytes)
        daily = self._daily.add(at_seconds, resident_bytes, explained_bytes)
        if slow:
            self._slope = None
        if not self.is_warm:
            return None
        if short:
            self._rule(at_seconds)
            self._fast(at_seconds)
        if slow:
            self._slowly(at_seconds)
        return self._due(at_seconds, explained_bytes) or (self._over_a_day(at_seconds) if daily else None)

    def restart(self) -> None:
        """Forget all windows, without a new warm-up: after an action, or when an operator says so."""
        self._slope = None
        self._suspected = self._suspicion = None
        self._quiet_until.clear()
        self._build()

    def confirm(self, at_seconds: float, resident_bytes: int, explained_bytes: int, finding: Finding) -> bool:
        """Whether a finding is proven by this reading, the first after collecting and trimming.

        It takes three at least: while `is_suspicious`, `tick` returns the finding when the next one is due.
        """
        if self._suspicion is None or self._suspected != finding:
            return False
        self._suspicion.add(at_seconds, resident_bytes, explained_bytes)
        proven, refuted = self._suspicion.is_proven, self._suspicion.is_refuted
        if proven or refuted:
            self._suspicion = self._suspected = None
            self._refuted[finding.tier] = self._refuted.get(finding.tier, 0) + 1 if refuted else 0
            self._quiet_until[finding.tier] = at_seconds + QUIET_SHARE * finding.window_seconds
        return proven

    def _follow_clock(self, at_seconds: float) -> None:
        if self._started is None:
            self._started = at_seconds
        if at_seconds < self._last:
            self.restart()
            self._started = min(self._started, at_seconds)
        self._last = at_seconds
        if not self.is_warm and at_seconds - self._started >= self._rules.leak_warmup_seconds:
            self.is_warm = True
            self.restart()

    def _rule(self, at_seconds: float) -> None:
        floors = self._short.last(RULE_BLOCKS + 1)
        if len(floors) > RULE_BLOCKS and self.growth_bytes >= self._rules.leak_growth_bytes:
            demand = Demand(RULE_SHARE * self._rule_rate, parts=5, rises=4)
            self._judge(Tier.RULE, at_seconds, floors, demand)

    def _fast(self, at_seconds: float) -> None:
        if self._short.is_full:
            demand = Demand(FAST_SHARE * self._rule_rate, parts=6, rises=4)
            self._judge(Tier.FAST, at_seconds, self._short.last(FAST_BLOCKS + 1), demand)

    def _slowly(self, at_seconds: float) -> None:
        if self._slow.is_full:
            demand = Demand(SLOW_SHARE * self._slow_rate, parts=6, rises=4)
            self._judge(Tier.SLOW, at_seconds, self._slow.last(SLOW_POINTS), demand)

    def _over_a_day(self, at_seconds: float) -> Finding | None:
        if not self._daily.is_full:
            return None
        demand = Demand(DAILY_SHARE * self._slow_rate, parts=6, rises=4)
        return self._judge(Tier.DAILY, at_seconds, self._daily.last(DAILY_POINTS), demand)

    @property
    def _rule_rate(self) -> float:
        return self._rules.leak_growth_bytes / self._rules.leak_window_seconds

    @property
    def _slow_rate(self) -> float:
        return self._rules.slow_leak_bytes_per_hour / SECONDS_AN_HOUR

    def _due(self, at_seconds: float, explained_bytes: int) -> Finding | None:
        """The finding under examination when a trim is due, which may wait for requests in flight to end."""
        suspicion = self._suspicion
        if suspicion is None or at_seconds < suspicion.due_at_seconds:
            return None
        if suspicion.is_forgotten(at_seconds):
            self._suspicion = self._suspected = None
            return None
        floors = self._short.last(RULE_BLOCKS)
        at_rest = min((floor.explained_bytes for floor in floors), default=explained_bytes)
        return self._suspected if suspicion.may_trim(at_seconds, explained_bytes - at_rest) else None

    def _judge(self, tier: Tier, at_seconds: float, floors: list[Floor], demand: Demand) -> Finding | None:
        if at_seconds < self._quiet_until.get(tier, at_seconds) or self._suspects_sooner(tier):
            return None
        if not rises_steadily(floors, demand):
            return None
        seconds = floors[-1].at_seconds - floors[0].at_seconds
        self._quiet_until[tier] = at_seconds + QUIET_SHARE * seconds
        finding = Finding(
            tier,
            growth_bytes=floors[-1].unexplained_bytes - floors[0].unexplained_bytes,
            window_seconds=seconds,
            slope_bytes_per_hour=SECONDS_AN_HOUR * slope_bytes_per_second(floors),
            since_seconds=floors[0].at_seconds,
        )
        if tier is not Tier.DAILY:
            doubts = self._refuted.get(tier, 0) + _has_bursts(floors, demand.bytes_per_second * seconds)
            self._suspected = finding
            self._suspicion = Suspicion(at_seconds, seconds, PROOF_SHARE * demand.bytes_per_second, doubts)
        return finding

    def _suspects_sooner(self, tier: Tier) -> bool:
        """Whether a window as short or shorter is under examination; that goes first."""
        order = list(Tier)
        return self._suspected is not None and order.index(self._suspected.tier) <= order.index(tier)


def _has_bursts(floors: list[Floor], least_bytes: float) -> bool:
    """Whether load came and went by as much as was to be found: such bursts may leave steps behind."""
    most = max(floor.most_explained_bytes for floor in floors)
    return most - min(floor.explained_bytes for floor in floors) >= least_bytes
