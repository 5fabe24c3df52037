"""What goes wrong with gates: their memory, their end, their settings."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.causes.course import Cause
from benchmarks.causes.stack import Build, Stack

MIB = 1024 * 1024
TEN_TIMES = 10
# The guard's times are settings of the gate: ten times as fast as by default, like the rules then.
QUICK_GUARD: dict[str, object] = {
    "leak_warmup_seconds": 30,
    "leak_window_seconds": 30,
    "leak_growth_bytes": 10 * MIB,
    "memory_sample_seconds": 0.5,
    "leak_cooldown_seconds": 60,
}
LEAKY = (sys.executable, "-m", "tests.support.leaky_gate", "objects", str(MIB))


@contextmanager
def hard_pressure(stack: Stack) -> Iterator[None]:
    """Give the gate a limit that it is over, as a container that is too small does; then take it away."""
    memory = stack.gate.call("GET", "/memory")
    limit = int(memory["pressure_bytes"] * 1.02)
    stack.gate.call("PATCH", "/settings", {"memory_limit_bytes": limit})
    yield
    stack.gate.call("PATCH", "/settings", {"memory_limit_bytes": None})


@contextmanager
def leaking(stack: Stack) -> Iterator[None]:
    """Deploy a build that leaks a MiB a second; then the one before."""
    stack.gate.replace(*LEAKY)
    yield
    stack.gate.replace()


@contextmanager
def killed(stack: Stack) -> Iterator[None]:
    """Kill the only gate, and start it again."""
    stack.gate.process.kill()
    yield
    stack.gate.start()


@contextmanager
def one_killed(stack: Stack) -> Iterator[None]:
    """Kill one of two gates, and start it again."""
    stack.gates[1].process.kill()
    yield
    stack.gates[1].start()


@contextmanager
def other_settings(stack: Stack) -> Iterator[None]:
    """Deploy one of two gates with another window; then with the same."""
    stack.gates[1].replace(dedup_window_seconds=30)
    yield
    stack.gates[1].replace()


CAUSES = (
    Cause(
        "pressure-hard",
        "A gate is given less memory than it needs, and refuses everything",
        "TidegateMemoryPressureHard",
        "pager",
        hard_pressure,
        "the limit raised",
        hold_seconds=180.0,
    ),
    Cause(
        "leak",
        "A build is deployed that leaks a MiB a second",
        "TidegateLeakConfirmed",
        "humans",
        leaking,
        "the guard examined it and named the lines; the build before deployed again",
        Build(gates=(QUICK_GUARD,), faster=TEN_TIMES),
    ),
    Cause(
        "gate-down",
        "The only gate is killed with `kill -9`",
        "TidegateAbsent",
        "pager",
        killed,
        "the gate started again",
        hold_seconds=180.0,
    ),
    Cause(
        "one-gate-down",
        "One of two gates is killed with `kill -9`",
        "TidegateTargetDown",
        "humans",
        one_killed,
        "the gate started again",
        Build(gates=({}, {})),
    ),
    Cause(
        "settings-differ",
        "One of two gates is deployed with another window",
        "TidegateSettingsDiffer",
        "humans",
        other_settings,
        "the gate deployed with the same settings",
        Build(gates=({}, {}), faster=TEN_TIMES),
    ),
)
