"""The guard's sentences in `warnings` of `/stats`."""

from app.guard.guard import Guard
from app.guard.levels import Level
from app.guard.watch import LeakState, Watch

MIB = 1024 * 1024

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


def guard_warnings(guard: Guard) -> dict[str, str]:
    """What stands now, by a key that names it."""
    leaks = {f"leak_{name}": _leak(watch) for name, watch in guard.watches.items()}
    warnings = {key: sentence for key, sentence in leaks.items() if sentence}
    if guard.blind_spots:
        warnings["guard_blind"] = (
            f"The memory guard cannot read {', '.join(guard.blind_spots)}, and does nothing that depends on "
            "it; traffic goes on. Check that /proc and the cgroup can be read."
        )
    latest = guard.latest
    if guard.level in _PRESSURE and latest and latest.pressure_bytes and latest.limit_bytes:
        warnings["memory_pressure"] = _PRESSURE[guard.level].format(
            used=latest.pressure_bytes // MIB, limit=latest.limit_bytes // MIB
        )
    return warnings


def _leak(watch: Watch) -> str:
    growth = watch.finding.growth_bytes // MIB if watch.finding else 0
    return _STATES.get(watch.state, "").format(name=watch.name, growth=growth, actions=watch.actions_in_a_row)
