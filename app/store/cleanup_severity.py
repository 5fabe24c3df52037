"""How much a cleanup removes, its severity; and one bounded step of it, as the store is asked for it.

app/cleanup/run.py chooses the severity, by what was asked for, and lua/cleanup.lua removes by it.
"""

from enum import StrEnum
from typing import NamedTuple

from app.models import MapName, Reason


class Severity(StrEnum):
    """How much a cleanup removes.

    NORMAL: what is past retention. EMERGENCY: what is past the shorter emergency retention. SHED: that, and
    then the oldest entries until a quarter of them is gone.
    """

    NORMAL = "normal"
    EMERGENCY = "emergency"
    SHED = "shed"


class CleanupStep(NamedTuple):
    """What one step of a cleanup is to remove: of which map, how much, counted under which reason."""

    map_name: MapName
    severity: Severity
    reason: Reason
    most_buckets: int
    dry_run: bool
    periodic: bool


class CleanupStepResult(NamedTuple):
    """What one step of a cleanup did: the entries before and after it, and whether more are due."""

    before: int
    removed: int
    after: int
    more: bool
