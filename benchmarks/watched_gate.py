"""The gate with a watch on its event loop: how long one turn of it took at the most.

TIDEGATE_PORT=8000 python -m benchmarks.watched_gate SOCKET

The watch is a callback that runs in every turn of the loop, so the gate is never idle. Whoever connects to
the Unix socket is told the longest turn since somebody last did, as JSON: seconds on the clock, and of CPU,
which is how long it takes when nobody else wants the processor.
"""

import asyncio
import json
import sys
import time

import app.runtime
from app.cli.serve import run
from app.tasks import Tasks


class Watch:
    """Times every turn of the event loop."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = 0.0
        self._last = self._last_cpu = 0.0

    def begin(self) -> None:
        """Run in every turn from now on."""
        self._last, self._last_cpu = time.perf_counter(), time.thread_time()
        self._beat()

    def _beat(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        self.seconds = max(self.seconds, now - self._last)
        self.cpu_seconds = max(self.cpu_seconds, cpu - self._last_cpu)
        self._last, self._last_cpu = now, cpu
        asyncio.get_running_loop().call_soon(self._beat)

    async def tell(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer somebody who connected, and begin anew."""
        found = {"seconds": self.seconds, "cpu_seconds": self.cpu_seconds}
        self.seconds = self.cpu_seconds = 0.0
        writer.write(json.dumps(found).encode())
        await writer.drain()
        writer.close()


def watched(path: str) -> type[Tasks]:
    """The tasks of a gate, with the watch beside them."""
    watch = Watch()

    class WatchedTasks(Tasks):
        """Starts the watch with the gate's own measure of its loop."""

        def measure_lag(self) -> None:
            """Begin to watch, and to tell of it."""
            super().measure_lag()
            watch.begin()
            self._server = asyncio.create_task(asyncio.start_unix_server(watch.tell, path))

    return WatchedTasks


if __name__ == "__main__":
    vars(app.runtime)["Tasks"] = watched(sys.argv[1])  # where the runtime looks it up
    sys.exit(run({}, insecure=False))
