"""The state of one process under watch: from suspicion to an action, and how often one may be taken."""

from collections.abc import Callable
from enum import StrEnum

import structlog

from app.guard.leak.detector import Detector, Finding, Tier
from app.settings.model import Settings

log = structlog.get_logger()

ACTIONS_IN_A_ROW = 3
FORGIVEN_SECONDS = 3600.0


class LeakState(StrEnum):
    """`ineffective` is latched: three actions in a row did not stop the growth, an operator has to look."""

    WARMUP = "warmup"
    OK = "ok"
    SUSPECT = "suspect"
    LEAK = "leak"
    COOLDOWN = "cooldown"
    INEFFECTIVE = "ineffective"


class Watch:
    """One process: warmup → ok → suspect → leak → cooldown → ok, or ineffective."""

    def __init__(self, name: str, detector: Detector, settings: Callable[[], Settings]) -> None:
        self.name = name
        self.detector = detector
        self._settings = settings
        self.state = LeakState.WARMUP
        self.finding: Finding | None = None
        self.awaits_examination = False
        self.actions_in_a_row = 0
        self.cooldown_ends: float | None = None
        self._forgiven_at = float("inf")

    def tick(self, at_seconds: float, resident_bytes: int, explained_bytes: int) -> Finding | None:
        """Take a reading; a finding asks for collecting and trimming, and `examine` with the next reading."""
        found = self.detector.tick(at_seconds, resident_bytes, explained_bytes)
        if self.state is LeakState.WARMUP and self.detector.is_warm:
            self._enter(LeakState.OK)
        self._cool(at_seconds)
        if found is None or (found.tier is not Tier.DAILY and self.state not in _OPEN_TO_SUSPICION):
            return None
        return found

    def suspect(self, finding: Finding) -> None:
        """Note a finding whose growth is to be compared after a trim with that after the next."""
        self.finding, self.awaits_examination = finding, True
        self._enter(LeakState.SUSPECT, tier=finding.tier, growth_bytes=finding.growth_bytes)

    def examine(self, at_seconds: float, resident_bytes: int, explained_bytes: int) -> bool:
        """Take the first reading after a trim; whether the suspicion is proven. When refuted, back to ok."""
        self.awaits_examination, finding = False, self.finding
        if finding and self.detector.confirm(at_seconds, resident_bytes, explained_bytes, finding):
            return True
        if not self.detector.is_suspicious:
            self.finding = None
            self._enter(LeakState.OK, why="the growth was given back, or has ended")
        return False

    def may_act(self) -> bool:
        """Enter `leak`, or `ineffective` when acting again would not help either."""
        if self.actions_in_a_row >= ACTIONS_IN_A_ROW:
            self._enter(LeakState.INEFFECTIVE, actions=self.actions_in_a_row)
            return False
        self._enter(LeakState.LEAK)
        return True

    def acted(self, at_seconds: float) -> None:
        """Wait before the next action, twice as long as the last time."""
        self.cooldown_ends = at_seconds + self._settings().leak_cooldown_seconds * 2**self.actions_in_a_row
        self.actions_in_a_row += 1
        self._forgiven_at = self.cooldown_ends + self._patience_seconds()
        self.detector.restart()
        self._enter(LeakState.COOLDOWN, seconds=self.cooldown_ends - at_seconds)

    def reset(self) -> None:
        """An operator has looked: forget the actions and the window."""
        self.actions_in_a_row, self.cooldown_ends, self.finding = 0, None, None
        self.awaits_examination = False
        self.detector.restart()
        self._enter(LeakState.OK if self.detector.is_warm else LeakState.WARMUP, why="reset by an operator")

    def _cool(self, at_seconds: float) -> None:
        if self.state is LeakState.SUSPECT and not self.detector.is_suspicious:
            self._enter(LeakState.OK, why="the suspicion was not followed up in time")
        if self.state is LeakState.COOLDOWN and at_seconds >= (self.cooldown_ends or 0):
            self.cooldown_ends, self.finding = None, None
            self._enter(LeakState.OK)
        if self.state is LeakState.OK and at_seconds > self._forgiven_at:
            self.actions_in_a_row, self._forgiven_at = 0, float("inf")

    def _patience_seconds(self) -> float:
        """Without growth for so long, the action helped; a slow leak takes its whole window to show again."""
        return max(FORGIVEN_SECONDS, 2 * self.finding.window_seconds if self.finding else 0)

    def _enter(self, state: LeakState, **details: object) -> None:
        if state is not self.state:
            write = log.warning if state in _WORTH_A_WARNING else log.info
            write("leak state", process=self.name, old=self.state, new=state, **details)
            self.state = state


_OPEN_TO_SUSPICION = frozenset({LeakState.OK, LeakState.SUSPECT})
_WORTH_A_WARNING = frozenset({LeakState.LEAK, LeakState.INEFFECTIVE})
