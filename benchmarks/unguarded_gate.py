"""The gate without its guard, to see what the guard costs; no setting turns it off.

TIDEGATE_PORT=8000 python -m benchmarks.unguarded_gate
"""

import sys
from collections.abc import Awaitable, Callable

import app.runtime
from app.cli.serve import run
from app.tasks import Seconds, Tasks

# Rounds of app/runtime.py that belong to the guard.
LEFT_OUT = ("memory", "ceiling")


class TasksWithoutGuard(Tasks):
    """Runs every round but those of the guard."""

    def every(self, seconds: Seconds, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """The same as in the gate, but for what is left out."""
        if name not in LEFT_OUT:
            super().every(seconds, name, work)

    async def once(self, name: str, work: Callable[[], Awaitable[object]]) -> bool:
        """Run the first round of what is not left out."""
        return name in LEFT_OUT or await super().once(name, work)


if __name__ == "__main__":
    vars(app.runtime)["Tasks"] = TasksWithoutGuard  # where the runtime looks it up
    sys.exit(run({}, insecure=False))
