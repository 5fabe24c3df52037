"""Finds steady growth of one process that nothing explains, from one reading of memory after another.

It reads neither memory nor a clock itself: a caller hands it both.

## From a reading to a proven leak

1. A reading is a time in seconds, resident bytes, and those of them that are explained: requests in flight
   for gate and workers, entries of the maps for the store. (Connections explain nothing: those that are never
   closed are a leak.) The detector looks for growth of the rest, *unexplained = resident - explained*.
2. Time is cut into blocks. Each block leaves a *floor*: its least resident and its least explained bytes.
   The two may be of different moments. Their difference is the floor's unexplained bytes. A block of 30 s
   with a reading every 5 s, for example:

       resident    61  64  95  75  62  62 MiB    -> 61 MiB, the least
       explained    2   4  30  15   2   1 MiB    ->  1 MiB, the least; so the floor is 60 MiB unexplained

   A burst of load that is over within a block does not raise its floor. The floor also keeps the block's
   most explained bytes (30 MiB), which only tell whether load comes in bursts (`_has_bursts`).
3. Four *windows* look back over the latest floors. Each has a length of its own, and its name is its *tier*.
   Lengths and slopes follow from three settings, here with their defaults: the leak window W (300 s), the
   growth G that makes a leak in it (50 MiB), a slow leak's rate R (10 MiB/h):

   | tier  | block           | window          | floors | least slope that is suspicious                    |
   |-------|-----------------|-----------------|--------|---------------------------------------------------|
   | rule  | W/10 (30 s)     | W (5 min)       | 11     | G/2 in W (300 MiB/h), and G from first to last    |
   | fast  | W/10 (30 s)     | 3 W (15 min)    | 31     | G/5 in W (120 MiB/h)                              |
   | slow  | 2 W/5 (2 min)   | 24 W (2 h)      | 60     | R/2 (5 MiB/h)                                     |
   | daily | 3 W (15 min)    | 288 W (24 h)    | 96     | R/10 (1 MiB/h)                                    |

   Rule and fast have one floor more than blocks, so that the first and the last are a whole window apart;
   slow and daily have as many as blocks, and theirs are a block less apart. `rule` is named after the
   plain alarm rule that it refines, "G more within W". The least slopes are in detector_rules.py, the
   lengths below.

   The rise has to be steady (`rises_steadily` in floors.py). For that, a window is cut into five or six
   nearly equal parts, each with a median of its floors. From one median to the next they have to rise far
   enough at least four times. Resident bytes have to rise as well, the slope of all floors (Theil-Sen) has to
   reach the least one, and chance has to be ruled out (Mann-Kendall). The eleven floors 60, 66, 72, ... 120
   MiB are suspicious. Of 60, 60, 60, 60, 60, 120, ... 120 MiB the medians are 60, 60, 90, 120 and 120: they
   rise twice at most, where four times are wanted. That is a step, and not suspicious.
4. A window that rises steadily raises a *suspicion* (`Finding`). What grew may be garbage or free memory, so
   the caller collects garbage and trims the heap, then hands the next reading to `confirm`. It does so again
   after every tenth of the window (every *interval* of confirmation.py), and compares what is left each time.
   If 70, 130 and 190 MiB are left, the leak is proven; 70, 70 and 71 MiB refute it. A proof takes 1.4 times
   the slope that is suspicious. Without doubts three trims suffice. Each doubt adds one, two at most: an
   earlier suspicion of the tier that was refuted, load in bursts. If that does not decide, up to two more
   follow, so it takes seven at most. The first is due at once.

   A daily finding is for the log, the metrics and reports only: it is neither trimmed for nor confirmed, and
   is returned every six hours while the rise lasts.

## How a caller drives it

    finding = detector.tick(at, resident, explained)      # each sample
    if finding is not None and finding.tier is not Tier.DAILY:
        ...collect garbage, trim the heap...
        at, resident, explained = ...the first reading after the trim, which `tick` does not get...
        if detector.confirm(at, resident, explained, finding):
            ...the leak is proven...

    warm-up --(leak_warmup_seconds)--> watching --(a window rises)--> suspicious
                                          ^                               |
                                          +- proven, refuted or dropped --+

From when a trim is due, `tick` returns the finding at each reading until `confirm` is called. While much
is in flight it returns None instead, until half an interval after the trim was due at most. A whole
interval after it was due without a call of `confirm`, the suspicion is dropped.

One process has one suspicion at a time. A suspicion of a shorter window replaces one of a longer window,
never the reverse. A window that raised a suspicion then raises no other for a quarter of its length (75 s for
the rule tier). That time counts from the finding, and begins again when it is proven or refuted.

A block lasts at least two sample periods. Where W/10 is shorter, all windows are longer than in the table.
A window loses its floors when no reading comes for longer than two of its blocks. The guard's clock is
monotonic; if it were set back, all windows would lose their floors, and the suspicion would be dropped.
"""

from app.guard.leak.confirmation import Confirmation
from app.guard.leak.detector_rules import RULE_BLOCKS, SECONDS_AN_HOUR, DetectorRules
from app.guard.leak.finding import Finding, Tier
from app.guard.leak.floors import Floor, Floors, rises_steadily, slope_bytes_per_second

FAST_BLOCKS = 30
# Of the slow and the daily window: how many of the shortest blocks a block lasts, and how many floors it has.
SLOW_FLOOR_BLOCKS, SLOW_FLOORS = 4, 60
DAILY_FLOOR_BLOCKS, DAILY_FLOORS = 30, 96
# A window that raised a suspicion raises no other for this share of its length.
QUIET_SHARE = 0.25
_SHORTEST_FIRST = tuple(Tier)  # as Tier lists them


class Detector:
    """Finds steady, unexplained growth of one process. All times are seconds of one clock."""

    def __init__(self, rules: DetectorRules) -> None:
        self._rules = rules
        self._started: float | None = None
        self._last = 0.0
        self.is_warm = False
        self._suspected: Finding | None = None
        """The finding to be confirmed; None exactly when `_confirmation` is."""
        self._confirmation: Confirmation | None = None
        self._refuted: dict[Tier, int] = {}
        """How many suspicions of a tier were refuted since one was proven; `restart` keeps it."""
        self._quiet_until: dict[Tier, float] = {}
        self._build()

    def _build(self) -> None:
        block = self._rules.block_seconds
        # Two tiers look at these: fast at all of them, rule at the last eleven.
        self._short = Floors(block, FAST_BLOCKS + 1)
        self._slow = Floors(SLOW_FLOOR_BLOCKS * block, SLOW_FLOORS)
        self._daily = Floors(DAILY_FLOOR_BLOCKS * block, DAILY_FLOORS)

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
        """Whether a finding is neither proven nor refuted yet."""
        return self._confirmation is not None

    @property
    def floor_bytes(self) -> int:
        """Resident bytes of the latest floor; 0 before the first reading."""
        return self._short.latest.resident_bytes if self._short.latest else 0

    @property
    def growth_bytes(self) -> int:
        """Growth of unexplained bytes over the leak window, or since the oldest floor if that is younger."""
        floors = self._short.last(RULE_BLOCKS + 1)
        return floors[-1].unexplained_bytes - floors[0].unexplained_bytes if floors else 0

    @property
    def slope_bytes_per_hour(self) -> float:
        """Slope of unexplained bytes over what there is of the slow window; 0 with fewer than two floors."""
        return SECONDS_AN_HOUR * self._slow.slope_bytes_per_second

    def tick(self, at_seconds: float, resident_bytes: int, explained_bytes: int) -> Finding | None:
        """Take a reading; return the finding that a trim is due for, or what the daily window has found.

        A finding other than a daily one asks for collecting and trimming, then for `confirm` with the next
        reading. None asks for nothing.
        """
        self._follow_clock(at_seconds)
        reading = (at_seconds, resident_bytes, explained_bytes)
        closed_short = self._short.add(*reading)
        closed_slow = self._slow.add(*reading)
        closed_daily = self._daily.add(*reading)
        if not self.is_warm:
            return None
        with_new_floor = [Tier.RULE, Tier.FAST] if closed_short else []
        with_new_floor += [Tier.SLOW] if closed_slow else []
        for tier in with_new_floor:
            if found := self._find(tier, at_seconds):
                self._suspect(found, at_seconds)
        due = self._due_for_trim(at_seconds, explained_bytes)
        if due is None and closed_daily:
            # Else the daily window is asked at its next floor. While anything is suspected it finds nothing.
            return self._find(Tier.DAILY, at_seconds)
        return due

    def restart(self) -> None:
        """Forget windows and suspicion, without a new warm-up: memory was cut back, or an operator asked."""
        self._suspected = self._confirmation = None
        self._quiet_until.clear()
        self._build()

    def confirm(self, at_seconds: float, resident_bytes: int, explained_bytes: int, finding: Finding) -> bool:
        """Take the first reading after collecting and trimming for a finding; true when it proves the leak.

        A proof takes three such readings at least. A finding that is no longer suspected proves nothing.
        """
        confirmation = self._confirmation
        if confirmation is None or self._suspected != finding:
            return False
        confirmation.add(at_seconds, resident_bytes, explained_bytes)
        if confirmation.is_proven or confirmation.is_refuted:
            self._suspected = self._confirmation = None
            refuted_before = self._refuted.get(finding.tier, 0)
            self._refuted[finding.tier] = refuted_before + 1 if confirmation.is_refuted else 0
            self._quiet_until[finding.tier] = at_seconds + QUIET_SHARE * finding.window_seconds
        return confirmation.is_proven

    def _follow_clock(self, at_seconds: float) -> None:
        """Begin the warm-up with the first reading, and end it; a clock set back empties the windows."""
        if self._started is None:
            self._started = at_seconds
        if at_seconds < self._last:
            self.restart()
            self._started = min(self._started, at_seconds)
        self._last = at_seconds
        if not self.is_warm and at_seconds - self._started >= self._rules.leak_warmup_seconds:
            self.is_warm = True
            self.restart()  # growth of the warm-up stands in no window

    def _find(self, tier: Tier, at_seconds: float) -> Finding | None:
        """Look for a steady rise in a window; one that is found begins the window's quiet time.

        Nothing is found in that time, or while this window or a shorter one is suspected.
        """
        if at_seconds < self._quiet_until.get(tier, at_seconds) or self._suspects_this_or_shorter(tier):
            return None
        floors = self._window(tier)
        if not floors or not rises_steadily(floors, self._rules.demand(tier)):
            return None
        seconds = floors[-1].at_seconds - floors[0].at_seconds
        self._quiet_until[tier] = at_seconds + QUIET_SHARE * seconds
        return Finding(
            tier,
            growth_bytes=floors[-1].unexplained_bytes - floors[0].unexplained_bytes,
            window_seconds=seconds,
            slope_bytes_per_hour=SECONDS_AN_HOUR * slope_bytes_per_second(floors),
            since_seconds=floors[0].at_seconds,
        )

    def _window(self, tier: Tier) -> list[Floor]:
        """The floors of a tier's window; none before it is full, or while the rule window grew too little."""
        if tier is Tier.RULE:
            floors = self._short.last(RULE_BLOCKS + 1)
            grew_enough = self.growth_bytes >= self._rules.leak_growth_bytes
            return floors if len(floors) > RULE_BLOCKS and grew_enough else []
        window = {Tier.FAST: self._short, Tier.SLOW: self._slow, Tier.DAILY: self._daily}[tier]
        return window.all() if window.is_full else []

    def _suspect(self, finding: Finding, at_seconds: float) -> None:
        """Begin to confirm a finding; refutations since the last proof, and bursts, are doubts about it."""
        least = self._rules.demand(finding.tier).bytes_per_second
        has_bursts = _has_bursts(self._window(finding.tier), least * finding.window_seconds)
        doubts = self._refuted.get(finding.tier, 0) + has_bursts
        self._suspected = finding
        self._confirmation = Confirmation(at_seconds, finding.window_seconds, least, doubts)

    def _suspects_this_or_shorter(self, tier: Tier) -> bool:
        """Whether this window or a shorter one is suspected; then this one is not asked for a rise."""
        return self._suspected is not None and (
            _SHORTEST_FIRST.index(self._suspected.tier) <= _SHORTEST_FIRST.index(tier)
        )

    def _due_for_trim(self, at_seconds: float, explained_bytes: int) -> Finding | None:
        """Return the suspected finding if its trim is due, and little is in flight or it waited long enough.

        The suspicion is dropped when nobody trimmed in time.
        """
        confirmation = self._confirmation
        if confirmation is None or at_seconds < confirmation.due_at_seconds:
            return None
        if confirmation.is_forgotten(at_seconds):
            self._suspected = self._confirmation = None
            return None
        explained = [floor.explained_bytes for floor in self._short.last(RULE_BLOCKS)]
        # What is explained now, beyond the least of the last leak window, counts as in flight. In the store
        # that is entries added since, although they stay.
        in_flight = explained_bytes - min(explained, default=explained_bytes)
        return self._suspected if confirmation.may_trim(at_seconds, in_flight) else None


def _has_bursts(floors: list[Floor], least_bytes: float) -> bool:
    """Tell whether explained bytes varied by `least_bytes`: after such bursts a step can look like a leak."""
    most = max(floor.most_explained_bytes for floor in floors)  # a burst leaves no trace in the least ones
    return most - min(floor.explained_bytes for floor in floors) >= least_bytes
