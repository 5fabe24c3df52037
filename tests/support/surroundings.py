"""Frees a test run from the way it was started: as a background job, under nohup, with settings exported."""

import os
import signal
from types import FrameType

# A shell starts a background job with SIGINT and SIGQUIT ignored, nohup starts one with SIGHUP ignored.
OFTEN_IGNORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM)
# What click and the terminal's size are read from.
OF_A_TERMINAL = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
# Without bytecode caches each of the hundreds of gates that tests start would compile the application first.
NO_CACHES = "PYTHONDONTWRITEBYTECODE"


def stop_inheriting() -> None:
    """Keep ignored signals and the shell's variables from the processes that tests start.

    A process inherits a signal that is ignored as ignored, but one that is handled as its default. The
    handler set here does nothing, so that the test run itself goes on ignoring the signal.
    """
    for number in OFTEN_IGNORED:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _ignore)
    for name in list(os.environ):
        if name in (*OF_A_TERMINAL, NO_CACHES) or name.startswith("TIDEGATE_"):
            del os.environ[name]


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing."""
