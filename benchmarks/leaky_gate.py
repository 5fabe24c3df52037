"""The gate with a planted leak: for trying out what is to find leaks.

LEAK_MB_PER_HOUR=20 TIDEGATE_PORT=8000 python -m benchmarks.leaky_gate
"""

import os
import sys

import app.server
from app.runtime import Runtime
from benchmarks.slope import MB, SECONDS_AN_HOUR

LEAK_SECONDS = 0.5
# What a small leaked object costs: a bytes object and its place in the list.
OBJECT_BYTES = 512


class LeakingRuntime(Runtime):
    """A runtime that never lets go of some of its objects."""

    def leak_at(self, mb_per_hour: float) -> None:
        """Set how fast; to be called before it starts."""
        self._objects_a_round = mb_per_hour * MB / SECONDS_AN_HOUR * LEAK_SECONDS / OBJECT_BYTES
        self._due, self._kept = 0.0, list[bytes]()

    async def start(self) -> None:
        """Start it with the leak."""
        await super().start()
        self._tasks.every(LEAK_SECONDS, "leak", self._leak)

    async def _leak(self) -> None:
        self._due += self._objects_a_round
        while len(self._kept) < self._due:
            self._kept.append(bytes(OBJECT_BYTES - 41))


def main() -> int:
    """Serve, leaking as the environment says."""
    rate = float(os.environ["LEAK_MB_PER_HOUR"])

    def leaking(*arguments: object) -> Runtime:
        runtime = LeakingRuntime(*arguments)  # type: ignore[arg-type]  # whatever `serve` gives
        runtime.leak_at(rate)
        return runtime

    vars(app.server)["Runtime"] = leaking  # where `serve` looks it up
    return app.server.serve({}, insecure=False)


if __name__ == "__main__":
    sys.exit(main())
