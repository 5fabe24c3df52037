"""Lets a detector watch a simulated process, as the guard would."""

from dataclasses import dataclass

from app.guard.leak.detector import Detector
from app.guard.leak.detector_rules import DetectorRules
from app.guard.leak.finding import Finding, Tier
from tests.support.simulation.cases import Case
from tests.support.simulation.memory import HOUR

BLOCK_SECONDS = DetectorRules().block_seconds


@dataclass(frozen=True)
class Outcome:
    """When an action was taken first, by which tier; when the daily tier reported first; suspicions."""

    action_at: float | None
    tier: Tier | None
    daily_at: float | None
    suspicions: int


def replay(case: Case, seed: int, step_seconds: float = BLOCK_SECONDS) -> Outcome:
    """One run, until the first action or the case's end, with a reading every `step_seconds`.

    A suspicion makes the guard collect and trim; the next reading confirms it or does not.
    """
    memory, detector = case.memory(seed), Detector(DetectorRules())
    suspicion: Finding | None = None
    daily_at, suspicions = None, 0
    for number in range(int(case.hours * HOUR / step_seconds)):
        now = number * step_seconds
        resident, explained = memory.read(now)
        if suspicion is not None:
            if detector.confirm(now, resident, explained, suspicion):
                return Outcome(now, suspicion.tier, daily_at, suspicions)
            suspicion = None
            continue
        finding = detector.tick(now, resident, explained)
        if finding is None:
            continue
        if finding.tier is Tier.DAILY:
            daily_at = now if daily_at is None else daily_at
            if case.is_for_report:
                break
        else:
            suspicion, suspicions = finding, suspicions + 1
            memory.trim(now)
    return Outcome(None, None, daily_at, suspicions)


def onset(case: Case, seed: int) -> float:
    """When the leak of a run starts, in seconds."""
    return case.memory(seed).leak.onset
