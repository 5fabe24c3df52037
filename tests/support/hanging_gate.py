"""The real gate, whose event loop hangs for a while upon SIGUSR1: `python -m tests.support.hanging_gate`.

Only the loop hangs: the call that blocks it lets go of the interpreter, so that all threads go on.
"""

import asyncio
import os
import signal
import sys
import time

import app.cli.serve
from app.process.systemd import notify, watchdog_seconds
from app.runtime import Runtime

PERIODS = 5
HANGS, TURNS = "STATUS=the loop hangs", "STATUS=the loop turns"


class HangingRuntime(Runtime):
    """A runtime that tells systemd when its loop is about to hang, and when it no longer does."""

    async def start(self) -> None:
        """Start the gate, and wait for the signal."""
        await super().start()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _hang)


def _hang() -> None:
    """Block the loop for several times as long as systemd waits for a sign of life."""
    notify(HANGS)
    time.sleep(PERIODS * (watchdog_seconds() or 0))
    notify(TURNS)


def main() -> int:
    """Serve, until the signal comes."""
    app.cli.serve.Runtime = HangingRuntime  # type: ignore[attr-defined]  # where `run` looks it up
    return app.cli.serve.run({}, insecure=False)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)
