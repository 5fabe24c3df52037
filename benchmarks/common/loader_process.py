"""A load in a process of its own, so that what measures it does not slow it down.

The process reads its plan and its target as JSON from its standard input and prints its measure as JSON.
"""

import ctypes
import gc
import subprocess
import sys
from collections.abc import Callable, Sequence

import msgspec

from benchmarks.common.ledger import WrongAnswerError
from benchmarks.common.plan import Measure, Plan, Target

LOAD = (sys.executable, "-m", "benchmarks.common.load")
SPARE_SECONDS = 60.0
PR_SET_TIMERSLACK, NANOSECOND = 29, 1


class MeasurementError(Exception):
    """A side could not be measured; says why."""


def run_loader(plan: Plan, target: Target, command: Sequence[str] = LOAD) -> Measure:
    """Run a loader process to its end.

    Raises:
        MeasurementError: it failed, or found an answer that is not true.
    """
    order, allowed = msgspec.json.encode((plan, target)), plan.warm_up_seconds + plan.seconds + SPARE_SECONDS
    try:
        ran = subprocess.run(command, input=order, capture_output=True, timeout=allowed, check=False)
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"the load did not end within {allowed:g} s") from None
    if ran.returncode:
        raise MeasurementError(ran.stderr.decode().strip()[-1500:] or f"it ended with {ran.returncode}")
    return msgspec.json.decode(ran.stdout, type=Measure)


def load_as_ordered(load: Callable[[Plan, Target], Measure]) -> int:
    """Be the loader process: run the load that the standard input orders; the exit code."""
    plan, target = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[Plan, Target])
    gc.disable()  # its pauses would be taken for the gate's
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, NANOSECOND)  # else Linux wakes it 50 µs after a post is due
    try:
        sys.stdout.buffer.write(msgspec.json.encode(load(plan, target)))
    except (WrongAnswerError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0
