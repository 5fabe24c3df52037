"""The gate as it is shipped, whose event loop is timed in every turn; it is therefore never idle.

    TIDEGATE_PORT=8000 python -m benchmarks.watched_gate SOCKET

Whoever connects to the Unix socket is told the longest turn since somebody last did, as JSON: seconds on the
clock, and of CPU, which is how long it takes when nobody else wants the processor.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterable

import app.runtime
from app.cli.serve import run
from app.tasks import Task, Tasks


class Watch:
    """Times every turn of the event loop by a callback in each."""

    def __init__(self) -> None:
        self._seconds = self._cpu_seconds = 0.0
        self._last = self._last_cpu = 0.0

    def begin(self) -> None:
        """Run in every turn from now on."""
        self._last, self._last_cpu = time.perf_counter(), time.thread_time()
        self._turn()

    def _turn(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        self._seconds = max(self._seconds, now - self._last)
        self._cpu_seconds = max(self._cpu_seconds, cpu - self._last_cpu)
        self._last, self._last_cpu = now, cpu
        asyncio.get_running_loop().call_soon(self._turn)

    async def tell(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer somebody who connected, and begin anew."""
        found = {"seconds": self._seconds, "cpu_seconds": self._cpu_seconds}
        self._seconds = self._cpu_seconds = 0.0
        writer.write(json.dumps(found).encode())
        await writer.drain()
        writer.close()


class WatchedTasks(Tasks):
    """Starts a watch, which listens on a Unix socket, together with the gate's own tasks."""

    def start(self, tasks: Iterable[Task]) -> None:
        """Begin to watch, and to tell of it."""
        super().start(tasks)
        watch = Watch()
        watch.begin()
        self._server = asyncio.create_task(asyncio.start_unix_server(watch.tell, sys.argv[1]))


if __name__ == "__main__":
    vars(app.runtime)["Tasks"] = WatchedTasks
    sys.exit(run({}, insecure=False))
