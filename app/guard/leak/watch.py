"""The state of one process under watch: from a suspicion to an action, and to the pause behind it.

    warmup ─ warm ─▶ ok ─ finding ─▶ suspect ─ proven ─▶ leak ─ action taken ─▶ cooldown ─ over ─▶ ok
                      ▲                 │                  └─ the fourth in a row ─▶ ineffective
                      └──── refuted ────┘

A leak that is proven once more after three actions in a row (cooldown.py) is one that acting does not help
against: `ineffective` stays until an operator resets it.
"""

from collections.abc import Callable

import structlog

from app.guard.leak.cooldown import Cooldown
from app.guard.leak.detector import Detector
from app.guard.leak.finding import Finding, LeakState, Tier
from app.guard.status import ProcessStatus
from app.settings.model import Settings

log = structlog.get_logger()


class Watch:
    """One process under watch since a moment on the clock of the readings, with a detector of its own."""

    def __init__(
        self, name: str, since_seconds: float, detector: Detector, settings: Callable[[], Settings]
    ) -> None:
        self.name = name
        self.since_seconds = since_seconds
        self.detector = detector
        self.cooldown = Cooldown(settings)
        self.state = LeakState.WARMUP
        self.finding: Finding | None = None
        self.awaits_confirmation = False
        """Whether memory was just trimmed for a suspicion, so that the next reading is for `confirm`."""

    def tick(self, at_seconds: float, resident_bytes: int, explained_bytes: int) -> Finding | None:
        """Take a reading; a finding other than a daily one asks for a trim, and then for `confirm`."""
        found = self.detector.tick(at_seconds, resident_bytes, explained_bytes)
        if self.state is LeakState.WARMUP and self.detector.is_warm:
            self._enter(LeakState.OK)
        self._end_what_is_over(at_seconds)
        if found is None or (found.tier is not Tier.DAILY and self.state not in _OPEN_TO_SUSPICION):
            return None
        return found

    def suspect(self, finding: Finding) -> None:
        """Note a finding: what is left after this trim is compared with what is left after the next."""
        self.finding, self.awaits_confirmation = finding, True
        self._enter(LeakState.SUSPECT, tier=finding.tier, growth_bytes=finding.growth_bytes)

    def confirm(self, at_seconds: float, resident_bytes: int, explained_bytes: int) -> bool:
        """Take the first reading after a trim; true when it proves the leak. Refuted, it is ok again."""
        self.awaits_confirmation, finding = False, self.finding
        if finding and self.detector.confirm(at_seconds, resident_bytes, explained_bytes, finding):
            return True
        if not self.detector.is_suspicious:
            self.finding = None
            self._enter(LeakState.OK, why="the growth was given back, or has ended")
        return False

    def may_act(self) -> bool:
        """Enter `leak`; or `ineffective`, and return false, when three actions in a row did not help."""
        if not self.cooldown.allows_action:
            self._enter(LeakState.INEFFECTIVE, actions=self.cooldown.actions_in_a_row)
            return False
        self._enter(LeakState.LEAK)
        return True

    def acted(self, at_seconds: float) -> None:
        """Begin a cooldown; the detector starts anew."""
        seconds = self.cooldown.begin(at_seconds, self.finding.window_seconds if self.finding else 0.0)
        self.detector.restart()
        self._enter(LeakState.COOLDOWN, seconds=seconds)

    def reset(self, why: str) -> None:
        """Forget the actions and the detector's windows; `why` is for the log."""
        self.cooldown.reset()
        self.finding, self.awaits_confirmation = None, False
        self.detector.restart()
        self._enter(LeakState.OK if self.detector.is_warm else LeakState.WARMUP, why=why)

    @property
    def status(self) -> ProcessStatus:
        """The state and the detector's figures, as plain data."""
        return ProcessStatus(
            name=self.name,
            state=self.state,
            floor_bytes=self.detector.floor_bytes,
            growth_bytes=self.detector.growth_bytes,
            slope_bytes_per_hour=self.detector.slope_bytes_per_hour,
            suspected_bytes=self.finding.growth_bytes if self.finding else 0,
            actions_in_a_row=self.cooldown.actions_in_a_row,
            cooldown_ends_seconds=self.cooldown.ends,
        )

    def _end_what_is_over(self, at_seconds: float) -> None:
        if self.state is LeakState.SUSPECT and not self.detector.is_suspicious:
            self._enter(LeakState.OK, why="the suspicion was not followed up in time")
        if self.state is LeakState.COOLDOWN and self.cooldown.is_over(at_seconds):
            self.cooldown.end()
            self.finding = None
            self._enter(LeakState.OK)
        if self.state is LeakState.OK:
            self.cooldown.forgive(at_seconds)

    def _enter(self, state: LeakState, **details: object) -> None:
        if state is not self.state:
            write = log.warning if state in _WORTH_A_WARNING else log.info
            write("leak state", process=self.name, old=self.state, new=state, **details)
            self.state = state


_OPEN_TO_SUSPICION = frozenset({LeakState.OK, LeakState.SUSPECT})
_WORTH_A_WARNING = frozenset({LeakState.LEAK, LeakState.INEFFECTIVE})
