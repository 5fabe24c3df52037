"""What the guard says of itself, as plain data: pressure, the state of each process, and its warnings.

`GET /memory`, `/stats`, the metrics and the daily reports are made of a `GuardStatus` and know no more of the
guard. The guard makes one whenever it is asked, from its last reading; nothing is read for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.guard.leak.finding import LeakState
from app.guard.memory_reading import MemoryReading
from app.models import WarningKey, WarningName

MIB = 1024 * 1024


class Level(StrEnum):
    """How near memory is to its limit: at `soft` memory is freed, at `hard` ingest is refused as well."""

    NORMAL = "normal"
    SOFT = "soft"
    HARD = "hard"

    @property
    def number(self) -> int:
        """The level as `tidegate_memory_pressure_level` has it: 0 for normal, 1 for soft, 2 for hard."""
        return list(Level).index(self)


@dataclass(frozen=True)
class ProcessStatus:
    """One process under watch: what its detector has measured, and what the guard makes of it."""

    name: str
    state: LeakState
    floor_bytes: int
    """Resident bytes of the latest floor."""
    growth_bytes: int
    """Growth of the floors within the leak window, less what is explained."""
    slope_bytes_per_hour: float
    suspected_bytes: int
    """Growth of the finding that is under examination or was acted upon; 0 without one."""
    actions_in_a_row: int
    cooldown_ends_seconds: float | None
    """The end of the cooldown on the clock of the readings; None while no cooldown is on."""


@dataclass(frozen=True)
class GuardStatus:
    """The guard at one moment; `latest` is None until a first reading was taken."""

    level: Level
    refuses_ingest: bool
    blind_spots: list[str]
    processes: Mapping[str, ProcessStatus]
    latest: MemoryReading | None

    @property
    def state(self) -> LeakState:
        """The most urgent state of a process, `ineffective` before all others."""
        return max((process.state for process in self.processes.values()), key=_URGENCY.index)

    @property
    def growth_bytes(self) -> int:
        """The largest growth of a process within the leak window."""
        return max((process.growth_bytes for process in self.processes.values()), default=0)

    def warnings(self) -> dict[WarningKey, str]:
        """The guard's sentences in `warnings` of `/stats`, by a key that names each."""
        leaks = {
            WarningKey(WarningName.LEAK, name): _leak_warning(process)
            for name, process in self.processes.items()
        }
        warnings = {key: sentence for key, sentence in leaks.items() if sentence}
        if self.blind_spots:
            warnings[WarningKey(WarningName.GUARD_BLIND)] = (
                f"The memory guard cannot read {', '.join(self.blind_spots)}, and does nothing that depends "
                "on it; traffic goes on. Check that /proc and the cgroup can be read, and for "
                "the store that the gate's user may call INFO."
            )
        latest = self.latest
        if self.level in _PRESSURE and latest and latest.pressure_bytes and latest.limit_bytes:
            warnings[WarningKey(WarningName.MEMORY_PRESSURE)] = _PRESSURE[self.level].format(
                used=latest.pressure_bytes // MIB, limit=latest.limit_bytes // MIB
            )
        return warnings


def _leak_warning(process: ProcessStatus) -> str:
    return _STATES.get(process.state, "").format(
        name=process.name, growth=process.suspected_bytes // MIB, actions=process.actions_in_a_row
    )


# From the state that needs nobody to the one that needs an operator at once.
_URGENCY = (
    LeakState.WARMUP,
    LeakState.OK,
    LeakState.COOLDOWN,
    LeakState.SUSPECT,
    LeakState.LEAK,
    LeakState.INEFFECTIVE,
)
_PRESSURE = {
    Level.SOFT: (
        "Memory is at {used} MiB of {limit} MiB: the gate gives back what it can, and an embedded store "
        "keeps transactions and observations for the emergency retention only. "
        "See GET /memory, lower the rate of ingest, or raise TIDEGATE_MEMORY_LIMIT_BYTES."
    ),
    Level.HARD: (
        "Memory is at {used} MiB of {limit} MiB: ingest is answered 503 until it has fallen. "
        "See GET /memory, lower the rate of ingest, or raise TIDEGATE_MEMORY_LIMIT_BYTES."
    ),
}
_STATES = {
    LeakState.SUSPECT: (
        "The memory of the {name} process grew by {growth} MiB; the next reading tells if it stays."
    ),
    LeakState.LEAK: "The {name} process leaks memory; GET /memory says what grew.",
    LeakState.COOLDOWN: (
        "The {name} process leaked memory; GET /memory says what grew, what was done and what came back."
    ),
    LeakState.INEFFECTIVE: (
        "The {name} process leaks memory: it was found {actions} times in a row, whatever was done about "
        "it, so the guard acts no more. "
        "Read GET /memory, restart the process or mend the cause, then POST /memory/reset."
    ),
}
